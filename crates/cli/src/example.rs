//! Makes data that fits a JSON Schema: for `events send --example`.
//!
//! Takes `examples`, `default`, `const` and `enum` where the schema has them, and builds the
//! simplest fitting value where not. It does not search: a schema that only a solver can satisfy
//! gives data that the server will decline, with the reason.

use serde_json::{Map, Value, json};

/// References are followed this deep; a schema may contain itself.
const DEEPEST: usize = 12;

/// Data that fits `schema`.
pub fn from_schema(schema: &Value) -> Value {
    build(schema, schema, 0)
}

fn build(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(object) = schema.as_object() else {
        return json!({}); // `true`: anything fits.
    };
    if depth > DEEPEST {
        return Value::Null;
    }
    let given = object
        .get("examples")
        .and_then(|examples| examples.get(0))
        .or_else(|| {
            ["example", "default", "const"]
                .iter()
                .find_map(|name| object.get(*name))
        })
        .or_else(|| object.get("enum").and_then(|values| values.get(0)));
    if let Some(value) = given {
        return value.clone();
    }
    if let Some(target) = object.get("$ref").and_then(Value::as_str) {
        let found = target
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        return found.map_or(Value::Null, |found| build(found, root, depth + 1));
    }
    if let Some(parts) = object.get("allOf").and_then(Value::as_array) {
        return all_of(object, parts, root, depth);
    }
    for name in ["oneOf", "anyOf"] {
        if let Some(first) = object.get(name).and_then(|choices| choices.get(0)) {
            return build(first, root, depth + 1);
        }
    }
    match type_of(object) {
        "object" => build_object(object, root, depth),
        "array" => build_array(object, root, depth),
        "string" => json!(build_string(object)),
        "integer" => json!(build_integer(object)),
        "number" => build_number(object),
        "boolean" => json!(true),
        _ => Value::Null,
    }
}

/// The type, or the first of several; without one, what the keywords speak of.
fn type_of(object: &Map<String, Value>) -> &str {
    match object.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            let mut names = names.iter().filter_map(Value::as_str);
            names.find(|name| *name != "null").unwrap_or("null")
        }
        _ if object.contains_key("properties") || object.contains_key("required") => "object",
        _ if object.contains_key("items") => "array",
        _ => "object",
    }
}

fn all_of(object: &Map<String, Value>, parts: &[Value], root: &Value, depth: usize) -> Value {
    let mut rest = object.clone();
    rest.remove("allOf");
    let mut merged = Map::new();
    let mut last = Value::Null;
    for part in parts.iter().chain([&Value::Object(rest)]) {
        match build(part, root, depth + 1) {
            Value::Object(fields) => merged.extend(fields),
            other => last = other,
        }
    }
    if merged.is_empty() {
        last
    } else {
        Value::Object(merged)
    }
}

fn build_object(object: &Map<String, Value>, root: &Value, depth: usize) -> Value {
    let mut made = Map::new();
    let properties = object.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        made.insert(name.clone(), build(schema, root, depth + 1));
    }
    let required = object.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        made.entry(name).or_insert_with(|| json!("example"));
    }
    Value::Object(made)
}

fn build_array(object: &Map<String, Value>, root: &Value, depth: usize) -> Value {
    let least = object
        .get("minItems")
        .and_then(Value::as_u64)
        .unwrap_or(1)
        .clamp(0, 100);
    let item = object
        .get("items")
        .map_or_else(|| json!("example"), |items| build(items, root, depth + 1));
    let most = object
        .get("maxItems")
        .and_then(Value::as_u64)
        .unwrap_or(u64::MAX);
    Value::Array((0..least.min(most)).map(|_| item.clone()).collect())
}

fn build_string(object: &Map<String, Value>) -> String {
    let of_format = match object.get("format").and_then(Value::as_str).unwrap_or("") {
        "date-time" => "2026-01-31T12:00:00Z",
        "date" => "2026-01-31",
        "time" => "12:00:00Z",
        "duration" => "P1D",
        "email" | "idn-email" => "ada@example.com",
        "uri" | "url" | "iri" | "uri-reference" => "https://example.com/",
        "hostname" | "idn-hostname" => "example.com",
        "uuid" => "0190f4d1-3f3a-7c4e-9a51-3b8d5d0c2f11",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        _ => "",
    };
    if !of_format.is_empty() {
        return of_format.to_owned();
    }
    let length = |name| {
        let value = object.get(name).and_then(Value::as_u64);
        value.and_then(|value| usize::try_from(value).ok())
    };
    let mut text = "example".to_owned();
    while text.len() < length("minLength").unwrap_or(0).min(10_000) {
        text.push('x');
    }
    text.truncate(length("maxLength").unwrap_or(usize::MAX));
    text
}

fn build_integer(object: &Map<String, Value>) -> i64 {
    let bound = |name| object.get(name).and_then(Value::as_i64);
    let step = bound("multipleOf").filter(|step| *step > 0).unwrap_or(1);
    let least = bound("minimum").or_else(|| bound("exclusiveMinimum")?.checked_add(1));
    let most = bound("maximum").or_else(|| bound("exclusiveMaximum")?.checked_sub(1));
    let wanted = match (least, most) {
        (Some(least), _) => least,
        (None, Some(most)) => most.min(1),
        (None, None) => 1,
    };
    // Up to the next multiple.
    wanted
        .checked_add((step - wanted.rem_euclid(step)) % step)
        .unwrap_or(wanted)
}

fn build_number(object: &Map<String, Value>) -> Value {
    let bound = |name| object.get(name).and_then(Value::as_f64);
    match (
        bound("minimum"),
        bound("exclusiveMinimum"),
        bound("maximum"),
    ) {
        (Some(least), _, _) => json!(least),
        (None, Some(below), _) => json!(below + 0.5),
        (None, None, Some(most)) => json!(most.min(1.5)),
        (None, None, None) => json!(1.5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_the_simplest_fitting_value() {
        let schema = json!({
            "$defs": {"money": {"type": "object", "properties": {
                "amount": {"type": "integer", "minimum": 7, "multipleOf": 5},
                "currency": {"enum": ["EUR", "USD"]}}}},
            "type": "object",
            "required": ["id", "extra"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "total": {"$ref": "#/$defs/money"},
                "tags": {"type": "array", "items": {"type": "string", "minLength": 9, "maxLength": 9}},
                "at": {"type": ["null", "string"], "format": "date-time"},
                "kind": {"const": 3},
                "either": {"oneOf": [{"type": "boolean"}, {"type": "string"}]},
                "both": {"allOf": [{"properties": {"a": {"default": 1}}}, {"properties": {"b": {"examples": ["x"]}}}]},
                "free": true
            }
        });
        assert_eq!(
            from_schema(&schema),
            json!({
                "id": "0190f4d1-3f3a-7c4e-9a51-3b8d5d0c2f11",
                "total": {"amount": 10, "currency": "EUR"},
                "tags": ["examplexx"],
                "at": "2026-01-31T12:00:00Z",
                "kind": 3,
                "either": true,
                "both": {"a": 1, "b": "x"},
                "free": {},
                "extra": "example"
            })
        );
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let schema = json!({"properties": {"child": {"$ref": "#"}}});
        assert!(from_schema(&schema).pointer("/child/child/child").is_some());
    }
}
