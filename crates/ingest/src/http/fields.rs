//! Reads a JSON body field by field and gathers every problem on the way, so that a caller learns
//! of all of them at once. Used by every write but the hot path of publishing.

use serde_json::{Map, Value};
use signpost_domain::Problem;

use crate::error::{ApiError, ErrorCode};

/// A JSON object that is being read.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    /// JSON pointer of the object itself.
    base: String,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl Fields {
    /// Reads the whole body. An empty one is an empty object: fields that are needed will be
    /// missed by name.
    ///
    /// # Errors
    /// When it is not JSON, or holds what cannot be stored.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::of(Map::new(), String::new()));
        }
        let value = parse_json(body)?;
        Self::from_value(value, "")
    }

    /// Reads a value that must be an object, at `base`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_value(value: Value, base: &str) -> Result<Self, ApiError> {
        match value {
            Value::Object(object) => Ok(Self::of(object, base.to_owned())),
            other => Err(Problem::new(base, not_a("an object", &other)).into()),
        }
    }

    fn of(object: Map<String, Value>, base: String) -> Self {
        Self {
            object,
            base,
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// The field as it stands; `None` when it is absent, `Some(Null)` when it is null.
    pub fn any(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.object.shift_remove(name)
    }

    /// The field; absent and null are the same.
    pub fn value(&mut self, name: &'static str) -> Option<Value> {
        self.any(name).filter(|value| !value.is_null())
    }

    fn typed<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Option<T> {
        let value = self.value(name)?;
        match read(value) {
            Ok(read) => Some(read),
            Err(other) => {
                self.problem(name, not_a(wanted, &other));
                None
            }
        }
    }

    /// A text.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.typed(name, "a text", |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &'static str) -> Option<String> {
        if !self.has(name) {
            self.known.push(name);
            self.problem(name, "this field is required");
            return None;
        }
        self.text(name)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.typed(name, "true or false", |value| match value {
            Value::Bool(flag) => Ok(flag),
            other => Err(other),
        })
    }

    /// An object.
    pub fn object(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        self.typed(name, "an object", |value| match value {
            Value::Object(object) => Ok(object),
            other => Err(other),
        })
    }

    /// A list of texts; each element that is something else is a problem of its own.
    pub fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let values = self.typed(name, "a list", |value| match value {
            Value::Array(values) => Ok(values),
            other => Err(other),
        })?;
        let mut texts = Vec::with_capacity(values.len());
        let mut all_texts = true;
        for (index, value) in values.into_iter().enumerate() {
            if let Value::String(text) = value {
                texts.push(text);
            } else {
                all_texts = false;
                let pointer = format!("{}/{index}", self.pointer(name));
                self.problems
                    .push(Problem::new(pointer, not_a("a text", &value)));
            }
        }
        all_texts.then_some(texts)
    }

    /// Whether the field is there and not null. It does not count as read.
    pub fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether the field is there, null or not. It does not count as read.
    pub fn names(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// Notes a problem with a field.
    pub fn problem(&mut self, name: &str, detail: impl Into<String>) {
        let pointer = self.pointer(name);
        self.problems.push(Problem::new(pointer, detail));
    }

    /// Notes a missing field unless `present`.
    pub fn require(&mut self, name: &'static str, present: bool) {
        let pointer = self.pointer(name);
        let already = self
            .problems
            .iter()
            .any(|p| p.pointer.starts_with(&pointer));
        if !present && !already {
            self.problems
                .push(Problem::new(pointer, "this field is required"));
        }
    }

    /// Takes the value, or notes the problem or problems instead.
    pub fn check<T, P: Into<Problems>>(&mut self, result: Result<T, P>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problems) => {
                self.problems.extend(problems.into().0);
                None
            }
        }
    }

    /// Reads a text with a parser whose error is a sentence.
    pub fn parsed<T, E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, error.to_string());
                None
            }
        }
    }

    /// Everything that was wrong, fields that nobody asked for among it.
    ///
    /// # Errors
    /// All problems at once.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let unknown: Vec<String> = self.object.keys().cloned().collect();
        for name in unknown {
            let known = self.known.join("`, `");
            let detail = if known.is_empty() {
                "there is no such field: this takes none".to_owned()
            } else {
                format!("there is no such field; there are `{known}`")
            };
            self.problem(&escape(&name), detail);
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.problems))
        }
    }
}

/// One or several problems.
#[derive(Debug)]
pub struct Problems(Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Self {
        Self(problems)
    }
}

/// Reads JSON that will be stored as JSON.
///
/// # Errors
/// `invalid_json`, or `validation_failed` for a NUL character, which PostgreSQL cannot store.
pub fn parse_json(body: &[u8]) -> Result<Value, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::new(ErrorCode::InvalidJson, error.to_string()))?;
    let mut problems = Vec::new();
    find_nul(&value, &mut String::new(), &mut problems);
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(ApiError::invalid(problems))
    }
}

fn find_nul(value: &Value, pointer: &mut String, problems: &mut Vec<Problem>) {
    let has_nul = |text: &str| text.contains('\0');
    let detail = "the character U+0000 cannot be stored";
    match value {
        Value::String(text) if has_nul(text) => {
            problems.push(Problem::new(pointer.clone(), detail));
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                let length = pointer.len();
                pointer.push('/');
                pointer.push_str(&index.to_string());
                find_nul(value, pointer, problems);
                pointer.truncate(length);
            }
        }
        Value::Object(object) => {
            for (name, value) in object {
                let length = pointer.len();
                pointer.push('/');
                pointer.push_str(&escape(name));
                if has_nul(name) {
                    problems.push(Problem::new(pointer.clone(), detail));
                }
                find_nul(value, pointer, problems);
                pointer.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A field's name inside a JSON pointer (RFC 6901, section 3).
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn not_a(wanted: &str, found: &Value) -> String {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!("this must be {wanted}, not {found}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(error: &ApiError) -> Vec<String> {
        let errors = error.body().errors;
        errors.into_iter().map(|e| e.pointer).collect()
    }

    #[test]
    fn reports_missing_wrong_and_unknown_fields_together() {
        let mut fields = Fields::parse(br#"{"name":1,"events":["a",2],"colour/2":"red"}"#).unwrap();
        assert_eq!(fields.text("name"), None);
        assert_eq!(fields.required_text("url"), None);
        assert_eq!(fields.texts("events"), None);
        let error = fields.finish().unwrap_err();
        assert_eq!(error.code(), ErrorCode::ValidationFailed);
        assert_eq!(
            pointers(&error),
            ["/name", "/url", "/events/1", "/colour~12"]
        );
    }

    #[test]
    fn tells_null_from_absent() {
        let mut fields = Fields::parse(br#"{"filter":null}"#).unwrap();
        assert_eq!(fields.any("filter"), Some(Value::Null));
        assert_eq!(fields.any("retry"), None);
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn refuses_what_is_not_an_object_and_what_cannot_be_stored() {
        assert_eq!(
            Fields::parse(b"[]").unwrap_err().code(),
            ErrorCode::ValidationFailed
        );
        assert_eq!(
            Fields::parse(b"{").unwrap_err().code(),
            ErrorCode::InvalidJson
        );
        let error = Fields::parse(br#"{"metadata":{"a":["b\u0000"]}}"#).unwrap_err();
        assert_eq!(pointers(&error), ["/metadata/a/0"]);
        let deep = "[".repeat(1000);
        assert_eq!(
            Fields::parse(deep.as_bytes()).unwrap_err().code(),
            ErrorCode::InvalidJson
        );
    }
}
