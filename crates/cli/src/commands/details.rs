//! One thing, a field a line, in the order and with the number formats of the API.

use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{CliError, Result};
use crate::output::{clean, pretty, time_ms};

/// The fields of a JSON object in their order, values unread.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A JSON object as lines `field  value`; larger values follow indented.
pub fn details(body: &[u8]) -> Result<String> {
    let Fields(fields) = serde_json::from_slice(body).map_err(|error| {
        CliError::Other(anyhow::anyhow!(
            "the server's answer cannot be read: {error}"
        ))
    })?;
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, raw) in &fields {
        // Writing to a String cannot fail.
        let shown = show(raw.get());
        if shown.contains('\n') {
            let shown = shown.replace('\n', "\n    ");
            writeln!(out, "{}\n    {shown}", clean(name)).unwrap_or_default();
            continue;
        }
        writeln!(out, "{:width$}  {shown}", clean(name)).unwrap_or_default();
    }
    out.truncate(out.trim_end().len());
    Ok(out)
}

/// A value: texts without quotes, times in UTC, short lists on a line, the rest as JSON.
fn show(raw: &str) -> String {
    match serde_json::from_str::<Value>(raw) {
        Ok(Value::Null) => "-".to_owned(),
        Ok(Value::String(text)) => time_ms(&text),
        Ok(Value::Array(items)) if items.iter().all(Value::is_string) => {
            let items: Vec<_> = items.iter().filter_map(Value::as_str).map(clean).collect();
            if items.is_empty() {
                "-".to_owned()
            } else {
                items.join(", ")
            }
        }
        Ok(Value::Array(_) | Value::Object(_)) if raw.len() > 80 => pretty(raw),
        _ => clean(raw).into_owned(),
    }
}

/// A field of an API object as text for a table: `pointer` is a JSON pointer.
pub fn text(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_numbers_their_form() {
        let body = br#"{"id":"ep_1","events":["a.*","b"],"filter":null,"total":1.10,"metadata":{},
            "created_at":"2026-01-31T12:00:00.5Z","data":{"z":12345678901234567890,"a":"\u001b[31mred",
            "long":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}"#;
        insta::assert_snapshot!(details(body).unwrap(), @r#"
        id          ep_1
        events      a.*, b
        filter      -
        total       1.10
        metadata    {}
        created_at  2026-01-31 12:00:00.500
        data
            {
              "z": 12345678901234567890,
              "a": "\u001b[31mred",
              "long": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            }
        "#);
    }
}
