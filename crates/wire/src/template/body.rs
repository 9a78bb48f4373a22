//! The JSON template of a body.
//!
//! Prepared by the profile reader: the fixed parts are written as compact JSON once, in the order
//! in which the template gives its keys. Rendering then only appends bytes. `data` is never
//! parsed or written anew, so number formats, key order, escapes and white space survive.

use bytes::Bytes;
use serde_json::Value;

use super::{Field, Place, Token, scan};
use crate::{request::EventParts, timestamp::TimestampFormat};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Vec<u8>),
    Field(Field),
}

/// A body template, prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BodyTemplate {
    segments: Vec<Segment>,
    /// Bytes of all literals: the least a rendered body needs.
    fixed: usize,
}

/// A problem in a template: where (a JSON pointer below the template) and what.
pub(crate) type Found = (String, String);

impl BodyTemplate {
    /// Prepares a template; the error lists every problem.
    pub(crate) fn parse(template: &Value) -> Result<Self, Vec<Found>> {
        let mut builder = Builder::default();
        builder.value(template, "");
        if !builder.problems.is_empty() {
            return Err(builder.problems);
        }
        builder.flush();
        let fixed = builder.segments.iter().map(|segment| match segment {
            Segment::Literal(literal) => literal.len(),
            Segment::Field(_) => 0,
        });
        Ok(Self {
            fixed: fixed.sum(),
            segments: builder.segments,
        })
    }

    /// Renders the body of an event. `data` must be a JSON text; it is copied as it is.
    pub(crate) fn render(
        &self,
        event: &EventParts<'_>,
        data: &[u8],
        format: TimestampFormat,
    ) -> Bytes {
        // 128 bytes are enough for the usual id, type, tenant and time.
        let mut body = Vec::with_capacity(self.fixed + data.len() + 128);
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => body.extend_from_slice(literal),
                Segment::Field(Field::Data) => body.extend_from_slice(data),
                Segment::Field(Field::Type) => push_string(&mut body, event.event_type),
                Segment::Field(Field::Id) => push_string(&mut body, event.id),
                Segment::Field(Field::Tenant) => push_tenant(&mut body, event.tenant),
                Segment::Field(Field::Timestamp) => {
                    body.extend_from_slice(format.json(event.occurred_at).as_bytes());
                }
                // `Place::Body` lets none of these into a template.
                Segment::Field(
                    Field::TypePath
                    | Field::Body
                    | Field::Signature
                    | Field::Attempt
                    | Field::AttemptTimestamp
                    | Field::DeliveryId,
                ) => {}
            }
        }
        Bytes::from(body)
    }
}

/// Writes a JSON string.
fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a Vec takes every write, and a str is JSON");
}

/// Writes a tenant id: a JSON number when it is digits alone, as the receivers of systems with
/// numeric account ids expect. `007` is no JSON number and stays a string.
fn push_tenant(out: &mut Vec<u8>, tenant: &str) {
    let digits = !tenant.is_empty() && tenant.bytes().all(|b| b.is_ascii_digit());
    if digits && (tenant == "0" || !tenant.starts_with('0')) {
        out.extend_from_slice(tenant.as_bytes());
    } else {
        push_string(out, tenant);
    }
}

#[derive(Default)]
struct Builder {
    segments: Vec<Segment>,
    literal: Vec<u8>,
    problems: Vec<Found>,
}

impl Builder {
    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.segments
                .push(Segment::Literal(std::mem::take(&mut self.literal)));
        }
    }

    fn value(&mut self, value: &Value, pointer: &str) {
        match value {
            Value::String(text) => self.string(text, pointer),
            Value::Array(items) => {
                self.literal.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.literal.push(b',');
                    }
                    self.value(item, &format!("{pointer}/{index}"));
                }
                self.literal.push(b']');
            }
            Value::Object(map) => {
                self.literal.push(b'{');
                for (index, (key, item)) in map.iter().enumerate() {
                    if index > 0 {
                        self.literal.push(b',');
                    }
                    let pointer = format!("{pointer}/{}", escape_pointer(key));
                    if scan(key)
                        .iter()
                        .any(|token| matches!(token, Token::Placeholder(_)))
                    {
                        let problem = "a placeholder stands for a value, never for a key";
                        self.problems.push((pointer.clone(), problem.to_owned()));
                    }
                    push_string(&mut self.literal, key);
                    self.literal.push(b':');
                    self.value(item, &pointer);
                }
                self.literal.push(b'}');
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.literal.extend_from_slice(value.to_string().as_bytes());
            }
        }
    }

    fn string(&mut self, text: &str, pointer: &str) {
        let tokens = scan(text);
        if let [Token::Placeholder(name)] = tokens[..] {
            match Place::Body.field(name) {
                Ok(field) => {
                    self.flush();
                    self.segments.push(Segment::Field(field));
                }
                Err(problem) => self.problems.push((pointer.to_owned(), problem)),
            }
            return;
        }
        for token in &tokens {
            if let Token::Placeholder(name) = token {
                let problem = format!(
                    "`{{{name}}}` stands inside a longer text; \
                     in a body a placeholder is the whole string"
                );
                self.problems.push((pointer.to_owned(), problem));
            }
        }
        push_string(&mut self.literal, text);
    }
}

/// Escapes a key for a JSON pointer (RFC 6901, section 3).
pub(crate) fn escape_pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    const EVENT: EventParts<'static> = EventParts {
        id: "evt_1",
        event_type: "license.created",
        tenant: "acme",
        occurred_at: DateTime::from_timestamp_nanos(1_524_229_894_692_694_900),
    };

    fn render(template: &Value, event: &EventParts<'_>, data: &str) -> String {
        let template = BodyTemplate::parse(template).unwrap();
        let body = template.render(event, data.as_bytes(), TimestampFormat::Rfc3339(7));
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn keeps_the_order_of_keys_and_replaces_whole_strings() {
        let template = json!({
            "z": "{type}", "a": ["{id}", {"when": "{timestamp}"}], "data": "{data}",
            "n": 1.0, "t": true, "x": null, "text": "a \"b\" {} {"
        });
        assert_eq!(
            render(&template, &EVENT, "[]"),
            r#"{"z":"license.created","a":["evt_1",{"when":"2018-04-20T13:11:34.6926940Z"}],"data":[],"n":1.0,"t":true,"x":null,"text":"a \"b\" {} {"}"#,
        );
    }

    #[test]
    fn data_alone_is_the_data_alone() {
        assert_eq!(
            render(&json!("{data}"), &EVENT, " {\"a\" : 1}\n"),
            " {\"a\" : 1}\n"
        );
    }

    #[test]
    fn data_passes_through_byte_for_byte() {
        for data in [
            "1.0",
            "12345678901234567890",
            "1e400",
            "-0",
            "1E+2",
            "0.10",
            r#""\u00e9\/\ud83d\ude00""#,
            "\"é😀\"",
            r#"{"b":1,"a":2,"b":3}"#,
            "[ 1 ,\n\t2 ]",
            "null",
            r#"{"trap":"{data}","id":"{id}"}"#,
        ] {
            let expected = format!(r#"{{"data":{data}}}"#);
            assert_eq!(render(&json!({"data": "{data}"}), &EVENT, data), expected);
        }
    }

    #[test]
    fn a_tenant_of_digits_alone_is_a_number() {
        for (tenant, json) in [
            ("456", "456"),
            ("0", "0"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("007", "\"007\""),
            ("00", "\"00\""),
            ("4a", "\"4a\""),
            ("4_5", "\"4_5\""),
            ("", "\"\""),
        ] {
            assert_eq!(
                render(&json!("{tenant}"), &EventParts { tenant, ..EVENT }, "1"),
                json
            );
        }
    }

    #[test]
    fn what_an_event_says_cannot_break_out_of_its_string() {
        let event = EventParts {
            event_type: "a\",\"admin\":true,\"b\":\"\n",
            ..EVENT
        };
        let body = render(&json!({"type": "{type}"}), &event, "1");
        let parsed: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(parsed, json!({"type": event.event_type}));
    }

    #[test]
    fn every_problem_is_named_with_its_place() {
        let template = json!({
            "a/b": ["{nope}"], "{id}": 1, "c": "id: {id} {type}", "d": "{attempt}", "e": "{data}"
        });
        let problems = BodyTemplate::parse(&template).unwrap_err();
        let pointers: Vec<_> = problems
            .iter()
            .map(|(pointer, _)| pointer.as_str())
            .collect();
        assert_eq!(pointers, ["/a~1b/0", "/{id}", "/c", "/c", "/d"]);
        assert!(
            problems[4].1.contains("put this into a header"),
            "{problems:?}"
        );
    }
}
