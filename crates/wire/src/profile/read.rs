//! Reads a profile document and collects everything that is wrong with it.
//!
//! Written by hand instead of derived, because a derived reader stops at the first problem.

mod signature;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Parts, ProfileProblem};
use crate::{
    header::{MAX_HEADERS, MAX_VALUE, check_name, is_value},
    template::{
        Place,
        body::{BodyTemplate, escape_pointer},
        text::TextTemplate,
    },
    timestamp::TimestampFormat,
};

const KNOWN: &[&str] = &[
    "body",
    "content_type",
    "description",
    "headers",
    "retry",
    "signature",
    "success",
    "timeout",
    "timestamp",
];

/// Reads a document.
pub(super) fn read(document: Value) -> Result<Parts, Vec<ProfileProblem>> {
    let mut reader = Reader::default();
    let parts = reader.profile(&document);
    match parts {
        Some(parts) if reader.problems.is_empty() => Ok(Parts { document, ..parts }),
        _ => Err(reader.problems),
    }
}

/// Reads parts and remembers what is wrong. A method that gives `None` has noted a problem.
#[derive(Default)]
struct Reader {
    problems: Vec<ProfileProblem>,
}

impl Reader {
    fn note(&mut self, pointer: &str, detail: impl Into<String>) {
        self.problems.push(ProfileProblem {
            pointer: pointer.to_owned(),
            detail: detail.into(),
        });
    }

    fn profile(&mut self, document: &Value) -> Option<Parts> {
        let map = self.object(document, "", KNOWN)?;
        let body = self.body(map.get("body"));
        let timestamp = map
            .get("timestamp")
            .map_or(Some(TimestampFormat::Rfc3339(0)), |value| {
                self.timestamp(value)
            });
        let headers = map
            .get("headers")
            .map_or(Some(Vec::new()), |value| self.headers(value));
        let content_type = self.content_type(map.get("content_type"));
        let description = map
            .get("description")
            .map(|value| self.text(value, "/description"));
        let signature = match map.get("signature") {
            None | Some(Value::Null) => Some(None),
            Some(value) => self.signature(value, headers.as_deref()).map(Some),
        };
        let success = self.success(map.get("success"));
        let retry = self.retry(map.get("retry"));
        let timeout = map
            .get("timeout")
            .map_or(Some("15s"), |value| self.text(value, "/timeout"));
        let headers = headers?;
        Some(Parts {
            document: Value::Null,
            description: description.flatten().map(str::to_owned),
            content_type: content_type?,
            body: body?,
            timestamp: timestamp?,
            sets_user_agent: headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("user-agent")),
            headers,
            signature: signature?,
            success: success?,
            retry: retry?,
            timeout: timeout?.to_owned(),
        })
    }

    fn body(&mut self, value: Option<&Value>) -> Option<BodyTemplate> {
        let Some(value) = value else {
            self.note(
                "/body",
                "missing; give a JSON template, or `\"{data}\"` for the data alone",
            );
            return None;
        };
        match BodyTemplate::parse(value) {
            Ok(template) => Some(template),
            Err(found) => {
                for (pointer, detail) in found {
                    self.note(&format!("/body{pointer}"), detail);
                }
                None
            }
        }
    }

    fn timestamp(&mut self, value: &Value) -> Option<TimestampFormat> {
        let format = match value {
            Value::String(text) if text == "unix" => Some(TimestampFormat::Unix),
            Value::String(text) if text == "rfc3339" => Some(TimestampFormat::Rfc3339(0)),
            Value::Object(map) if map.len() == 1 => map
                .get("rfc3339")
                .and_then(Value::as_u64)
                .and_then(|digits| u8::try_from(digits).ok())
                .filter(|digits| *digits <= TimestampFormat::MAX_DIGITS)
                .map(TimestampFormat::Rfc3339),
            _ => None,
        };
        if format.is_none() {
            self.note(
                "/timestamp",
                "write `\"unix\"`, `\"rfc3339\"`, or `{\"rfc3339\": n}` with 0 to 9 fraction digits",
            );
        }
        format
    }

    fn headers(&mut self, value: &Value) -> Option<Vec<(String, TextTemplate)>> {
        let Value::Object(map) = value else {
            self.note(
                "/headers",
                "must be an object of header names and their templates",
            );
            return None;
        };
        let before = self.problems.len();
        if map.len() > MAX_HEADERS {
            self.note("/headers", format!("at most {MAX_HEADERS} headers"));
        }
        let mut headers: Vec<(String, TextTemplate)> = Vec::new();
        for (name, value) in map {
            let pointer = format!("/headers/{}", escape_pointer(name));
            if let Err(detail) = check_name(name) {
                self.note(&pointer, detail);
            }
            if headers
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(name))
            {
                self.note(
                    &pointer,
                    "named twice: header names have no upper and lower case",
                );
            }
            if let Some(text) = self.text(value, &pointer)
                && let Some(template) = self.template(text, Place::Header, &pointer)
            {
                headers.push((name.clone(), template));
            }
        }
        (self.problems.len() == before).then_some(headers)
    }

    /// A text template that ends up in a header.
    fn template(&mut self, text: &str, place: Place, pointer: &str) -> Option<TextTemplate> {
        if !is_value(text) || text.len() > MAX_VALUE {
            self.note(
                pointer,
                format!(
                    "must be at most {MAX_VALUE} printable ASCII characters, no space at its ends"
                ),
            );
        }
        match TextTemplate::parse(text, place) {
            Ok(template) => Some(template),
            Err(problems) => {
                for detail in problems {
                    self.note(pointer, detail);
                }
                None
            }
        }
    }

    fn content_type(&mut self, value: Option<&Value>) -> Option<String> {
        let Some(value) = value else {
            return Some("application/json".to_owned());
        };
        let text = self.text(value, "/content_type")?;
        if !is_value(text) || !text.contains('/') || text.len() > MAX_VALUE {
            self.note(
                "/content_type",
                "must be a media type, as in `application/json`",
            );
            return None;
        }
        Some(text.to_owned())
    }

    fn success(&mut self, value: Option<&Value>) -> Option<Vec<String>> {
        let Some(value) = value else {
            return Some(vec!["200-299".to_owned()]);
        };
        let ranges = serde_json::from_value::<Vec<String>>(value.clone()).ok();
        if ranges.as_ref().is_none_or(Vec::is_empty) {
            self.note(
                "/success",
                "must be a list of status ranges, as in `[\"200-299\"]`",
            );
            return None;
        }
        ranges
    }

    fn retry(&mut self, value: Option<&Value>) -> Option<Value> {
        match value {
            None => Some(json!({
                "delays": ["5s", "30s", "2m", "10m", "30m", "2h", "5h", "10h", "10h", "24h"],
                "jitter": 0.2
            })),
            Some(Value::Object(_)) => value.cloned(),
            Some(_) => {
                self.note(
                    "/retry",
                    "must be an object, as in `{\"delays\": [\"10s\", \"100s\"]}`",
                );
                None
            }
        }
    }

    /// An object with known fields only.
    fn object<'v>(
        &mut self,
        value: &'v Value,
        pointer: &str,
        known: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        let Value::Object(map) = value else {
            self.note(pointer, "must be a JSON object");
            return None;
        };
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            let detail = format!("unknown field; here stand {}", known.join(", "));
            self.note(&format!("{pointer}/{}", escape_pointer(name)), detail);
        }
        Some(map)
    }

    fn text<'v>(&mut self, value: &'v Value, pointer: &str) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            self.note(pointer, "must be a string");
        }
        text
    }

    /// One of a closed set of names.
    fn choice<T: DeserializeOwned>(
        &mut self,
        value: Option<&Value>,
        pointer: &str,
        default: T,
        names: &str,
    ) -> Option<T> {
        let Some(value) = value else {
            return Some(default);
        };
        let choice = serde_json::from_value(value.clone()).ok();
        if choice.is_none() {
            self.note(pointer, format!("must be {names}"));
        }
        choice
    }
}
