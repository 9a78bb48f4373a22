//! A message's properties and headers, without lapin's types on the outside.

use std::collections::BTreeMap;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use serde_json::{Map, Value, json};

use super::cut;

/// Longest short string of AMQP 0-9-1, in bytes.
const SHORT_STRING: usize = 255;
/// Deepest header value that is shown.
const SHOWN_DEPTH: usize = 8;

/// The properties of a message (AMQP 0-9-1, class `basic`). A text that is longer than AMQP's 255
/// bytes is cut.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties(BasicProperties);

impl Properties {
    /// Properties of a message that survives a restart of the broker.
    pub fn persistent() -> Self {
        Self(BasicProperties::default().with_delivery_mode(2))
    }

    pub(crate) fn from_lapin(properties: BasicProperties) -> Self {
        Self(properties)
    }

    pub(crate) fn into_lapin(self) -> BasicProperties {
        self.0.with_delivery_mode(2)
    }

    /// The id that the publisher gave; an empty one counts as none.
    pub fn message_id(&self) -> Option<&str> {
        text(self.0.message_id()).filter(|id| !id.is_empty())
    }

    /// The media type of the body.
    pub fn content_type(&self) -> Option<&str> {
        text(self.0.content_type())
    }

    /// A compression of the body; Signpost uses none.
    pub fn content_encoding(&self) -> Option<&str> {
        text(self.0.content_encoding())
    }

    /// The name of the program that published it, if it gave one.
    pub fn app_id(&self) -> Option<&str> {
        text(self.0.app_id())
    }

    /// Seconds since 1970, from the publisher.
    pub fn timestamp(&self) -> Option<u64> {
        *self.0.timestamp()
    }

    /// A header that holds text.
    pub fn text(&self, header: &str) -> Option<&str> {
        match self.value(header)? {
            AMQPValue::LongString(text) => str::from_utf8(text.as_bytes()).ok(),
            AMQPValue::ShortString(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// A header that holds a whole number, of any width.
    pub fn int(&self, header: &str) -> Option<i64> {
        match self.value(header)? {
            AMQPValue::ShortShortInt(number) => Some(i64::from(*number)),
            AMQPValue::ShortShortUInt(number) => Some(i64::from(*number)),
            AMQPValue::ShortInt(number) => Some(i64::from(*number)),
            AMQPValue::ShortUInt(number) => Some(i64::from(*number)),
            AMQPValue::LongInt(number) => Some(i64::from(*number)),
            AMQPValue::LongUInt(number) => Some(i64::from(*number)),
            AMQPValue::LongLongInt(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether there is such a header, of any type.
    pub fn has_header(&self, header: &str) -> bool {
        self.value(header).is_some()
    }

    /// The names of all headers.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        let table = self.0.headers().iter().flat_map(FieldTable::inner);
        table.map(|(name, _value)| name.as_str())
    }

    /// The headers for a person to see, as a JSON object. Bytes that are no text are shown with
    /// replacement characters.
    pub fn headers_as_json(&self) -> Value {
        self.0
            .headers()
            .as_ref()
            .map_or_else(|| json!({}), |table| table_as_json(table, SHOWN_DEPTH))
    }

    /// Sets the id.
    #[must_use]
    pub fn with_message_id(self, id: &str) -> Self {
        Self(self.0.with_message_id(short(id)))
    }

    /// Sets the name of the program that publishes it.
    #[must_use]
    pub fn with_app_id(self, program: &str) -> Self {
        Self(self.0.with_app_id(short(program)))
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_content_type(self, media_type: &str) -> Self {
        Self(self.0.with_content_type(short(media_type)))
    }

    /// Sets the time, in seconds since 1970.
    #[must_use]
    pub fn with_timestamp(self, seconds: u64) -> Self {
        Self(self.0.with_timestamp(seconds))
    }

    /// Sets all headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self(self.0.with_headers(headers.0))
    }

    /// The properties that describe the content, without headers and without those that mean
    /// something to the broker: a copied `expiration` would delete the message, a copied `user-id`
    /// would have it refused, and a priority changes its place.
    pub(crate) fn content_only(&self) -> Self {
        let mut copy = BasicProperties::default().with_delivery_mode(2);
        let own = &self.0;
        if let Some(value) = own.content_type() {
            copy = copy.with_content_type(value.clone());
        }
        if let Some(value) = own.content_encoding() {
            copy = copy.with_content_encoding(value.clone());
        }
        if let Some(value) = own.correlation_id() {
            copy = copy.with_correlation_id(value.clone());
        }
        if let Some(value) = own.reply_to() {
            copy = copy.with_reply_to(value.clone());
        }
        if let Some(value) = own.message_id() {
            copy = copy.with_message_id(value.clone());
        }
        if let Some(value) = own.timestamp() {
            copy = copy.with_timestamp(*value);
        }
        if let Some(value) = own.kind() {
            copy = copy.with_type(value.clone());
        }
        if let Some(value) = own.app_id() {
            copy = copy.with_app_id(value.clone());
        }
        Self(copy)
    }

    /// The headers that a publisher set: all but those that the broker sets or acts on.
    pub(crate) fn publisher_headers(&self) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in self.0.headers().iter().flat_map(FieldTable::inner) {
            let lower = name.as_str().to_ascii_lowercase();
            if !lower.starts_with("x-") && lower != "cc" && lower != "bcc" {
                headers.0.insert(name.clone(), value.clone());
            }
        }
        headers
    }

    /// How many bytes the headers take on the wire, about. Deep values count as endless.
    pub(crate) fn headers_size(&self) -> usize {
        let table = self.0.headers().as_ref();
        table.map_or(0, |table| table_size(table, SHOWN_DEPTH))
    }

    pub(crate) fn value(&self, header: &str) -> Option<&AMQPValue> {
        self.0.headers().as_ref()?.inner().get(header)
    }
}

/// The headers of a message to be published.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers(FieldTable);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.0
            .insert(short(name), AMQPValue::LongString(value.into()));
        self
    }

    /// Adds a whole number.
    #[must_use]
    pub fn int(mut self, name: &str, value: i64) -> Self {
        self.0.insert(short(name), AMQPValue::LongLongInt(value));
        self
    }

    /// All but these.
    pub(crate) fn without(self, names: &[&str]) -> Self {
        let kept = self.0.inner().iter();
        let kept = kept.filter(|(name, _value)| !names.contains(&name.as_str()));
        let kept: BTreeMap<_, _> = kept
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self(kept.into())
    }

    /// How many bytes they take on the wire, about. Deep values count as endless.
    pub(crate) fn size(&self) -> usize {
        table_size(&self.0, SHOWN_DEPTH)
    }
}

fn short(text: &str) -> ShortString {
    // 255 bytes always fit, so the default is never used.
    ShortString::try_new(cut(text, SHORT_STRING)).unwrap_or_default()
}

#[expect(clippy::ref_option, reason = "lapin's getters give exactly this")]
fn text(value: &Option<ShortString>) -> Option<&str> {
    value.as_ref().map(ShortString::as_str)
}

fn table_size(table: &FieldTable, depth: usize) -> usize {
    table.inner().iter().fold(4, |sum: usize, (name, value)| {
        sum.saturating_add(name.as_str().len() + 2)
            .saturating_add(value_size(value, depth))
    })
}

fn value_size(value: &AMQPValue, depth: usize) -> usize {
    match value {
        AMQPValue::LongString(text) => 4 + text.len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.len(),
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) if depth == 0 => usize::MAX,
        AMQPValue::FieldArray(values) => values.as_slice().iter().fold(4, |sum: usize, value| {
            sum.saturating_add(1)
                .saturating_add(value_size(value, depth - 1))
        }),
        AMQPValue::FieldTable(table) => table_size(table, depth - 1),
        _ => 8,
    }
}

fn table_as_json(table: &FieldTable, depth: usize) -> Value {
    let entries = table.inner().iter();
    let entries = entries.map(|(name, value)| (name.to_string(), value_as_json(value, depth)));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn value_as_json(value: &AMQPValue, depth: usize) -> Value {
    match value {
        AMQPValue::Boolean(value) => json!(value),
        AMQPValue::ShortShortInt(value) => json!(value),
        AMQPValue::ShortShortUInt(value) => json!(value),
        AMQPValue::ShortInt(value) => json!(value),
        AMQPValue::ShortUInt(value) => json!(value),
        AMQPValue::LongInt(value) => json!(value),
        AMQPValue::LongUInt(value) => json!(value),
        AMQPValue::LongLongInt(value) => json!(value),
        AMQPValue::Float(value) => json!(value),
        AMQPValue::Double(value) => json!(value),
        AMQPValue::DecimalValue(value) => {
            json!(f64::from(value.value) / 10_f64.powi(value.scale.into()))
        }
        AMQPValue::ShortString(value) => json!(value.as_str()),
        AMQPValue::LongString(value) => json!(String::from_utf8_lossy(value.as_bytes())),
        AMQPValue::ByteArray(value) => json!(String::from_utf8_lossy(value.as_slice())),
        AMQPValue::Timestamp(value) => json!(value),
        AMQPValue::Void => Value::Null,
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) if depth == 0 => json!("…"),
        AMQPValue::FieldArray(values) => {
            let values = values.as_slice().iter();
            values
                .map(|value| value_as_json(value, depth - 1))
                .collect()
        }
        AMQPValue::FieldTable(table) => table_as_json(table, depth - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(headers: FieldTable) -> Properties {
        Properties::from_lapin(BasicProperties::default().with_headers(headers))
    }

    #[test]
    fn headers_are_read_by_their_type() {
        let mut table = FieldTable::default();
        table.insert("text".into(), AMQPValue::LongString("ä".into()));
        table.insert("bytes".into(), AMQPValue::LongString(vec![0xff].into()));
        table.insert("small".into(), AMQPValue::ShortShortUInt(200));
        table.insert("large".into(), AMQPValue::LongLongInt(-1));
        table.insert("flag".into(), AMQPValue::Boolean(true));
        let properties = properties(table);
        assert_eq!(properties.text("text"), Some("ä"));
        assert_eq!(properties.text("bytes"), None);
        assert_eq!(properties.int("small"), Some(200));
        assert_eq!(properties.int("large"), Some(-1));
        assert_eq!(properties.int("text"), None);
        assert_eq!(properties.text("missing"), None);
        assert!(properties.has_header("bytes") && !properties.has_header("missing"));
        assert_eq!(
            properties.headers_as_json(),
            json!({"text":"ä","bytes":"\u{fffd}","small":200,"large":-1,"flag":true})
        );
    }

    #[test]
    fn a_copy_leaves_out_what_the_broker_would_act_on() {
        let mut table = FieldTable::default();
        for name in ["x-death", "X-Delivery-Count", "CC", "BCC", "mine"] {
            table.insert(name.into(), AMQPValue::LongString("v".into()));
        }
        let original = Properties::from_lapin(
            BasicProperties::default()
                .with_headers(table)
                .with_message_id("evt_1".into())
                .with_type("kind".into())
                .with_expiration("1".into())
                .with_user_id("someone".into())
                .with_delivery_mode(1)
                .with_priority(9),
        );
        let copy = original.content_only();
        let expected = Properties::persistent().with_message_id("evt_1");
        assert_eq!(copy.0, expected.0.with_type("kind".into()));
        assert_eq!(
            original.publisher_headers(),
            Headers::new().text("mine", "v")
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_deep_values_are_not_followed() {
        let id = Properties::persistent().with_message_id(&"ä".repeat(200));
        assert_eq!(id.message_id().map(str::len), Some(254));
        let mut value = AMQPValue::Boolean(true);
        for _ in 0..20 {
            value = AMQPValue::FieldArray(vec![value].into());
        }
        let mut table = FieldTable::default();
        table.insert("deep".into(), value);
        let properties = properties(table);
        assert_eq!(properties.publisher_headers().size(), usize::MAX);
        assert!(properties.headers_as_json().to_string().contains('…'));
    }
}
