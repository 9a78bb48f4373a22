//! JSON Schemas of event types: compiled once, used for every event.
//!
//! Schemas come from tenants, so nothing is fetched from anywhere, and patterns run on an engine
//! whose time is linear in the text.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::Problem;

/// Largest compiled pattern of a schema, in bytes.
const MAX_PATTERN: usize = 64 * 1024;
/// Most problems that are reported of one event.
const MAX_PROBLEMS: usize = 20;

/// A compiled JSON Schema.
#[derive(Debug)]
pub struct Schema(Validator);

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// A sentence that says why it is no schema.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let patterns = PatternOptions::regex()
            .size_limit(MAX_PATTERN)
            .dfa_size_limit(MAX_PATTERN);
        jsonschema::options()
            .with_pattern_options(patterns)
            .build(schema)
            .map(Self)
            .map_err(|error| format!("not a usable JSON Schema: {error}"))
    }

    /// What is wrong with an event's data, which is JSON text, with pointers below `/data`.
    pub fn problems(&self, data: &[u8]) -> Vec<Problem> {
        match serde_json::from_slice(data) {
            Ok(data) => self.problems_of_value(&data),
            // JSON that a value cannot hold, such as a number beyond all bounds.
            Err(error) => vec![Problem::new("/data", error.to_string())],
        }
    }

    fn problems_of_value(&self, data: &Value) -> Vec<Problem> {
        let problem = |error: jsonschema::ValidationError<'_>| {
            let pointer = format!("/data{}", error.instance_path().as_str());
            let detail: String = error.to_string().chars().take(300).collect();
            Problem::new(pointer, detail)
        };
        let errors = self.0.iter_errors(data);
        errors.take(MAX_PROBLEMS).map(problem).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_each_problem_with_its_place() {
        let schema = Schema::compile(&json!({
            "type": "object", "required": ["id"],
            "properties": {"id": {"type": "integer"}, "plan": {"enum": ["free", "pro"]}},
        }))
        .unwrap();
        assert_eq!(
            schema.problems_of_value(&json!({"id": 1, "plan": "pro"})),
            []
        );
        let found = schema.problems_of_value(&json!({"id": "1", "plan": "gold"}));
        let pointers: Vec<_> = found.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/data/id", "/data/plan"]);
        assert_eq!(schema.problems_of_value(&json!([]))[0].pointer, "/data");
    }

    #[test]
    fn refuses_what_is_no_schema_and_what_would_be_fetched() {
        assert!(Schema::compile(&json!({"type": "thing"})).is_err());
        assert!(Schema::compile(&json!({"pattern": "("})).is_err());
        assert!(Schema::compile(&json!({"$ref": "https://example.com/schema.json"})).is_err());
        assert!(Schema::compile(&json!({"$ref": "file:///etc/passwd"})).is_err());
    }

    #[test]
    fn a_hostile_pattern_costs_little() {
        let schema = Schema::compile(&json!({"pattern": "^(a+)+$"})).unwrap();
        let hostile = json!("a".repeat(50_000) + "!");
        assert_eq!(schema.problems_of_value(&hostile).len(), 1);
    }
}
