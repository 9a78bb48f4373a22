//! The OpenAPI 3.1 document, made of the list of routes. What all operations share (the errors,
//! the key, `Idempotency-Key`) is added here, so that no handler can forget it.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    auth::Access,
    door::Repeats,
    error::{ErrorCode, ProblemBody},
    route::{NamedSchema, Route},
};

const DESCRIPTION: &str = "\
Signpost brings your events to your customers' URLs: signed, retried, and with a record of every \
attempt.

Send your API key with each request: `Authorization: Bearer KEY`. A key has a role: `admin` (all \
tenants), `manager` (one tenant), `publisher` (publish to one tenant) or `portal` (one tenant's \
endpoints and deliveries). What belongs to another tenant answers 404, as what does not exist.

Errors are `application/problem+json` (RFC 9457) with a `code` that never changes; everything that \
is wrong with the content of a request is listed at once in `errors`.

Lists come in pages: follow `next_cursor` until it is null.

Every write takes an `Idempotency-Key`: the same request with the same key is done once, and \
answered the same each time. For an event without an `id` the key becomes its id.";

/// Groups of operations, in reading order.
const TAGS: [(&str, &str); 9] = [
    ("Events", "Report what happened."),
    ("Endpoints", "Where events go, and which."),
    ("Secrets", "What requests are signed with."),
    ("Deliveries", "What became of each event at each endpoint."),
    (
        "Event types",
        "The catalogue: what can happen, and what its data looks like.",
    ),
    ("Profiles", "What requests look like."),
    ("Tenants", "Who owns all this."),
    ("Keys", "Who may do what."),
    ("Operations", "For whoever runs Signpost."),
];

/// Parameters of an operation, with the places of their values.
type Parameters = &'static [(&'static str, &'static str)];

/// What one operation answers and another one takes: from, name, to, parameters.
const LINKS: [(&str, &str, &str, Parameters); 13] = [
    ("tenants_put", "keys", "keys_create", IN_TENANT),
    ("tenants_put", "endpoints", "endpoints_create", IN_TENANT),
    ("tenants_put", "event", "events_create", IN_TENANT),
    ("keys_create", "revoke", "keys_revoke", ONLY_ID),
    ("keys_create", "delete", "keys_delete", BY_ID),
    (
        "endpoints_test",
        "delivery",
        "deliveries_get",
        BY_DELIVERY_ID,
    ),
    ("endpoints_create", "get", "endpoints_get", BY_ID),
    ("endpoints_create", "update", "endpoints_update", BY_ID),
    ("endpoints_create", "delete", "endpoints_delete", BY_ID),
    ("endpoints_create", "test", "endpoints_test", BY_ID),
    ("endpoints_create", "recover", "endpoints_recover", BY_ID),
    ("endpoints_create", "secret", "secrets_get", BY_ID),
    ("endpoints_create", "rotate", "secrets_rotate", BY_ID),
];
const IN_TENANT: &[(&str, &str)] = &[("tenant", "$request.path.tenant")];
/// The kind of key or id that a parameter in the path is, by how its example begins.
const PATH_PATTERNS: [(&str, &str, &str); 7] = [
    ("tenant", "", "^[a-z0-9][a-z0-9_-]{0,63}$"),
    ("type", "", r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"),
    ("id", "evt_", "^[A-Za-z0-9_-]{1,128}$"),
    ("id", "ep_", "^ep_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("id", "dlv_", "^dlv_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("id", "key_", "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("id", "rej_", "^rej_[0-9a-z]{26,32}$"),
];
const BY_ID: &[(&str, &str)] = &[
    ("tenant", "$request.path.tenant"),
    ("id", "$response.body#/id"),
];
const ONLY_ID: &[(&str, &str)] = &[("id", "$response.body#/id")];
const BY_DELIVERY_ID: &[(&str, &str)] = &[
    ("tenant", "$request.path.tenant"),
    ("id", "$response.body#/delivery_id"),
];

/// The document.
pub fn document(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for route in routes {
        let item = paths
            .entry(route.path.clone())
            .or_insert_with(|| Value::Object(Map::new()));
        item[route.method.as_str().to_lowercase()] = operation(route);
        add_schemas(&mut schemas, route.schemas.clone());
    }
    let mut errors = Vec::new();
    ProblemBody::schemas(&mut errors);
    add_schemas(&mut schemas, errors);
    schemas.insert(
        "Problem".to_owned(),
        json(&<ProblemBody as utoipa::PartialSchema>::schema()),
    );
    let tags = TAGS.map(|(name, description)| json!({"name": name, "description": description}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Signpost API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "responses": error_responses(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json(&route.operation);
    let access = match route.access {
        Access::Public => "no key needed",
        Access::Anyone => "any key",
        Access::Operator => "admin key",
        Access::Manage => "manager key",
        Access::Publish => "publisher or manager key",
        Access::Endpoints => "portal or manager key",
    };
    operation["x-access"] = access.into();
    if route.access == Access::Public {
        operation["security"] = json!([]);
    }
    let key = match route.repeats {
        Repeats::Harmless => None,
        Repeats::Remembered => Some("^[!-~]{1,128}$"),
        Repeats::ByHandler if route.path.ends_with("/batch") => Some("^[A-Za-z0-9_-]{1,124}$"),
        Repeats::ByHandler => Some("^[A-Za-z0-9_-]{1,128}$"),
    };
    if let Some(key) = key {
        let parameters = operation.as_object_mut().and_then(|object| {
            object
                .entry("parameters")
                .or_insert(json!([]))
                .as_array_mut()
        });
        if let Some(parameters) = parameters {
            parameters.push(json!({
                "name": "Idempotency-Key", "in": "header", "required": false,
                "description": "Makes a repeat of this request harmless.",
                "schema": {"type": "string", "pattern": key},
                "example": "order-4711-paid",
            }));
        }
    }
    add_path_patterns(&mut operation);
    for (from, name, to, parameters) in LINKS {
        if operation["operationId"] == from {
            add_link(&mut operation, name, to, parameters);
        }
    }
    let has_body = operation.get("requestBody").is_some();
    let parameters = operation["parameters"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let is_in = |place: &str| parameters.iter().any(|parameter| parameter["in"] == place);
    let mut statuses = vec![500, 503];
    if route.access != Access::Public {
        statuses.push(401);
    }
    if !matches!(route.access, Access::Public | Access::Anyone) {
        statuses.push(403);
    }
    if is_in("path") {
        statuses.push(404);
    }
    if has_body || is_in("query") || is_in("header") {
        statuses.push(400);
    }
    if has_body {
        statuses.extend([408, 413, 415, 422]);
    }
    if route.repeats == Repeats::Remembered {
        statuses.extend([409, 422]);
    }
    for status in statuses {
        let reference = json!({"$ref": format!("#/components/responses/{status}")});
        if operation["responses"][status.to_string()].is_null() {
            operation["responses"][status.to_string()] = reference;
        }
    }
    operation
}

/// Says what the ids and names in the path look like.
fn add_path_patterns(operation: &mut Value) {
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let is_of = |name: &str, prefix: &str| {
            let example = parameter["example"].as_str().unwrap_or_default();
            parameter["in"] == "path" && parameter["name"] == name && example.starts_with(prefix)
        };
        let found = PATH_PATTERNS
            .iter()
            .find(|(name, prefix, _)| is_of(name, prefix));
        if let Some((name, _, pattern)) = found {
            parameter["schema"]["pattern"] = (*pattern).into();
            if *name == "type" {
                parameter["schema"]["maxLength"] = 128.into();
            }
        }
    }
}

/// Adds a link to the answer of success (OpenAPI 3.1, section 4.8.20).
fn add_link(operation: &mut Value, name: &str, to: &str, parameters: &[(&str, &str)]) {
    let responses = operation["responses"].as_object_mut().into_iter().flatten();
    for (status, response) in responses {
        if status.starts_with('2') {
            let parameters: Map<_, _> = parameters
                .iter()
                .map(|(name, source)| ((*name).to_owned(), (*source).into()))
                .collect();
            response["links"][name] = json!({"operationId": to, "parameters": parameters});
        }
    }
}

/// One response per status, with the codes that come with it.
fn error_responses() -> Value {
    let mut responses = Map::new();
    for status in ErrorCode::ALL.iter().map(|code| code.status()) {
        let codes: Vec<_> = ErrorCode::ALL
            .iter()
            .filter(|code| code.status() == status)
            .collect();
        let words: Vec<_> = codes
            .iter()
            .map(|code| format!("`{}`", code.as_str()))
            .collect();
        let example = codes.first().map(|code| {
            json!({
                "code": code.as_str(), "title": code.title(), "status": status.as_u16(),
                "detail": code.title(),
            })
        });
        let mut headers = Map::new();
        if matches!(status.as_u16(), 429 | 503) {
            headers.insert(
                "Retry-After".to_owned(),
                json!({"description": "When to come back, in seconds.", "schema": {"type": "integer"}}),
            );
        }
        if status.as_u16() == 401 {
            headers.insert(
                "WWW-Authenticate".to_owned(),
                json!({"description": "How to authenticate.", "schema": {"type": "string"}}),
            );
        }
        responses.insert(
            status.as_str().to_owned(),
            json!({
                "description": words.join(", "),
                "headers": headers,
                "content": {"application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": example,
                }},
            }),
        );
    }
    Value::Object(responses)
}

fn add_schemas(all: &mut Map<String, Value>, schemas: Vec<NamedSchema>) {
    for (name, schema) in schemas {
        all.insert(name, json(&schema));
    }
}

/// utoipa's types are written to JSON without fail.
fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
