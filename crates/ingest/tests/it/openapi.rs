//! The OpenAPI document: whole, consistent, and true.

use std::collections::BTreeSet;

use serde_json::Value;
use signpost_ingest::{api, openapi};

use crate::service::Service;

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                found.insert(reference.to_owned());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _scalar => {}
    }
}

#[test]
fn every_route_is_documented_and_every_reference_leads_somewhere() {
    let routes = api::routes();
    let document = openapi::document(&routes);
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for route in &routes {
        let operation = &document["paths"][&route.path][route.method.as_str().to_lowercase()];
        assert!(operation["summary"].is_string(), "{route:?}");
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} twice");
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{route:?}"
        );
        let named: BTreeSet<_> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
            .collect();
        let in_path: BTreeSet<_> = route
            .path
            .split('/')
            .filter(|part| part.starts_with('{'))
            .map(str::to_owned)
            .collect();
        assert_eq!(named, in_path, "{route:?}");
        let tag = operation["tags"][0].as_str().unwrap();
        let tags = document["tags"].as_array().unwrap();
        assert!(
            tags.iter().any(|known| known["name"] == tag),
            "{route:?}: {tag}"
        );
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn its_shape_changes_only_on_purpose() {
    let routes = api::routes();
    let lines: Vec<String> = routes
        .iter()
        .map(|route| format!("{:6} {} ({:?})", route.method, route.path, route.access))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn is_served_to_everybody() {
    let service = Service::start().await;
    let reply = service
        .client
        .without_key()
        .get("/openapi.json")
        .await
        .expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json, openapi::document(&api::routes()));
}

#[tokio::test]
async fn its_examples_are_accepted() {
    let service = Service::start().await;
    let document = openapi::document(&api::routes());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(media) = operation.pointer("/requestBody/content/application~1json") else {
                continue;
            };
            if path.contains("{id}") {
                continue; // Names something that is not there.
            }
            let example = match &media["example"] {
                Value::Null => {
                    signpost_ingest::web::docs::example_of(&media["schema"], &document, 0)
                }
                example => example.clone(),
            };
            let path = path
                .replace("{tenant}", "default")
                .replace("{type}", "license.created")
                .replace("{name}", "our-own");
            let reply = service
                .client
                .json(&method.to_uppercase(), &path, &example.to_string())
                .await;
            assert!(
                (200..300).contains(&reply.status),
                "{method} {path} {example}: {}",
                reply.json
            );
        }
    }
}
