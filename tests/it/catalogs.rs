//! The catalogues in `deploy/catalogs`: every schema is right, and describes its own examples down
//! to each field; each can be imported, and the examples sent.

#![expect(clippy::unwrap_used, reason = "the helpers of tests panic, too")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use signpost_domain::EventType;

use crate::world::{Plan, World};

const FILES: [&str; 5] = [
    "core-api.json",
    "cryptlex.json",
    "inprivy.json",
    "license-manager.json",
    "privato.json",
];

fn path_of(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/catalogs");
    folder.join(file)
}

/// Every event type of every catalogue, with the file's name for messages.
fn event_types() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for file in FILES {
        let text = fs::read_to_string(path_of(file)).unwrap();
        let catalogue: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let fields: Vec<&String> = catalogue.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["event_types"], "{file}");
        for event_type in catalogue["event_types"].as_array().unwrap() {
            let name = event_type["type"].as_str().unwrap();
            found.push((format!("{file}, {name}"), event_type.clone()));
        }
    }
    found
}

/// The JSON pointer of every value inside `value`, itself left out.
fn pointers(value: &Value) -> Vec<String> {
    let Some(fields) = value.as_object() else {
        return Vec::new();
    };
    let below = |(name, field): (&String, &Value)| {
        let deeper = pointers(field).into_iter();
        let deeper: Vec<String> = deeper.map(|pointer| format!("/{name}{pointer}")).collect();
        [vec![format!("/{name}")], deeper].concat()
    };
    fields.iter().flat_map(below).collect()
}

#[test]
fn every_event_type_can_be_stored() {
    let mut seen = BTreeSet::new();
    for (place, event_type) in event_types() {
        assert!(seen.insert(place.clone()), "{place} is there twice");
        let fields = event_type.as_object().unwrap();
        let known = ["type", "name", "description", "schema", "validation"];
        assert!(
            fields.keys().all(|field| known.contains(&field.as_str())),
            "{place}: {fields:?}"
        );
        EventType::parse(event_type["type"].as_str().unwrap()).unwrap();
        for text in ["name", "description"] {
            assert!(
                !event_type[text].as_str().unwrap().is_empty(),
                "{place}: {text}"
            );
        }
        let expected = if fields.contains_key("schema") {
            "warn"
        } else {
            "off"
        };
        assert_eq!(event_type["validation"], expected, "{place}");
    }
    assert_eq!(seen.len(), 21);
}

#[test]
fn every_schema_takes_its_examples_and_refuses_broken_ones() {
    for (place, event_type) in event_types() {
        let Some(schema) = event_type.get("schema") else {
            continue;
        };
        assert_eq!(
            schema["$schema"], "https://json-schema.org/draft/2020-12/schema",
            "{place}"
        );
        jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{place}: {error}"));
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        let validator = options
            .build(schema)
            .unwrap_or_else(|error| panic!("{place}: {error}"));

        let examples = schema["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{place} has no example");
        for example in examples {
            let checked = validator.validate(example);
            checked.unwrap_or_else(|error| panic!("{place}: {error} in {example}"));
            // No field is ever a list, so that each one must be described to refuse this.
            for pointer in pointers(example) {
                let mut broken = example.clone();
                *broken.pointer_mut(&pointer).unwrap() = json!([]);
                assert!(
                    !validator.is_valid(&broken),
                    "{place} says nothing of {pointer}"
                );
            }
            let mut grown = example.clone();
            grown["added_later"] = json!(true);
            assert!(
                validator.is_valid(&grown),
                "{place} does not allow a new field"
            );
        }
        for broken in [json!({}), json!(null), json!("text"), json!([examples[0]])] {
            assert!(!validator.is_valid(&broken), "{place} takes {broken}");
        }
    }
}

#[tokio::test]
async fn each_catalogue_is_imported_and_its_examples_are_sent() {
    let world = World::start(Plan::default()).await;
    for file in FILES {
        let tenant = file.strip_suffix(".json").unwrap();
        world.tenant(tenant).await;
        world
            .endpoint(tenant, &format!("/{tenant}"), json!({}))
            .await;
        let path = path_of(file);
        world
            .signpost(tenant, &["event-types", "import", path.to_str().unwrap()])
            .await
            .unwrap();
        let catalogue = format!("/v1/tenants/{tenant}/event-types");
        let stored = world.api.get(&format!("{catalogue}?limit=250")).await;
        let stored = stored.expect(&[200]).json();
        let mut examples = 0;
        for event_type in stored["items"].as_array().unwrap() {
            let name = event_type["type"].as_str().unwrap();
            let send = ["events", "send", name, "--example"];
            if event_type["schema"].is_null() {
                let said = world.signpost(tenant, &send).await.unwrap_err();
                assert!(said.contains("no schema"), "{said}");
                continue;
            }
            // From `warn` to `reject`, so that an example that does not fit is refused.
            let strict = json!({"schema": event_type["schema"], "validation": "reject"});
            world
                .api
                .prepare(http::Method::PUT, &format!("{catalogue}/{name}"), &strict)
                .await
                .expect(&[200]);
            world.signpost(tenant, &send).await.unwrap();
            examples += 1;
            let broken = ["events", "send", name, "--data", "[]"];
            let said = world.signpost(tenant, &broken).await.unwrap_err();
            assert!(said.contains("422"), "{said}");
        }
        assert!(examples > 0, "{file}");
        world
            .until_deliveries(tenant, "", &["succeeded"], examples)
            .await;
    }
}
