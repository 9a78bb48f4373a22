//! JSON Schemas of event types: compiled once, used for every event.
//!
//! Schemas come from tenants, so nothing is fetched from anywhere, and patterns run on an engine
//! whose time is linear in the text.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use signpost_domain::Problem;

/// Largest compiled pattern of a schema, in bytes.
const MAX_PATTERN: usize = 64 * 1024;
/// Most problems that are reported of one event.
const MAX_PROBLEMS: usize = 20;

/// Compiles a schema.
///
/// # Errors
/// A sentence that says why it is no schema.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::regex()
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN);
    jsonschema::options()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| format!("not a usable JSON Schema: {error}"))
}

/// What is wrong with the data of an event, with pointers below `/data`.
pub fn problems(schema: &Validator, data: &Value) -> Vec<Problem> {
    schema
        .iter_errors(data)
        .take(MAX_PROBLEMS)
        .map(|error| {
            let pointer = format!("/data{}", error.instance_path().as_str());
            let detail: String = error.to_string().chars().take(300).collect();
            Problem::new(pointer, detail)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_each_problem_with_its_place() {
        let schema = compile(&json!({
            "type": "object", "required": ["id"],
            "properties": {"id": {"type": "integer"}, "plan": {"enum": ["free", "pro"]}},
        }))
        .unwrap();
        assert_eq!(problems(&schema, &json!({"id": 1, "plan": "pro"})), []);
        let found = problems(&schema, &json!({"id": "1", "plan": "gold"}));
        let pointers: Vec<_> = found.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/data/id", "/data/plan"]);
        assert_eq!(problems(&schema, &json!([]))[0].pointer, "/data");
    }

    #[test]
    fn refuses_what_is_no_schema_and_what_would_be_fetched() {
        assert!(compile(&json!({"type": "thing"})).is_err());
        assert!(compile(&json!({"pattern": "("})).is_err());
        assert!(compile(&json!({"$ref": "https://example.com/schema.json"})).is_err());
        assert!(compile(&json!({"$ref": "file:///etc/passwd"})).is_err());
    }

    #[test]
    fn a_hostile_pattern_costs_little() {
        let schema = compile(&json!({"pattern": "^(a+)+$"})).unwrap();
        let hostile = json!("a".repeat(50_000) + "!");
        assert_eq!(problems(&schema, &hostile).len(), 1);
    }
}
