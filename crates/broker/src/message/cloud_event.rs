//! CloudEvents 1.0 (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>) over
//! AMQP 0-9-1: structured mode by the content type, binary mode by headers `cloudEvents:id` or
//! `cloudEvents_id`, as the AMQP 1.0 binding names them.
//!
//! The tenant still comes from the routing key, and the event's own type must be the routing
//! key's. `data` is cut out of the envelope byte for byte.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use signpost_domain::EventType;

use super::{RejectReason, Rejection, event::parse_time};
use crate::consumer::Incoming;

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch";
const PREFIXES: [&str; 2] = ["cloudEvents:", "cloudEvents_"];

/// An event's content, wherever in the message it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) id: Option<String>,
    pub(super) time: Option<DateTime<Utc>>,
    pub(super) traceparent: Option<String>,
    pub(super) data: Bytes,
}

impl Content {
    /// The body is the data.
    pub(super) fn plain(body: &Bytes) -> Self {
        Self {
            id: None,
            time: None,
            traceparent: None,
            data: body.clone(),
        }
    }
}

/// The attributes that mean something here; others are ignored.
#[derive(Deserialize)]
struct Envelope<'a> {
    specversion: String,
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    time: Option<String>,
    traceparent: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_base64: Option<serde::de::IgnoredAny>,
}

/// Reads one of the `CloudEvents`; `None` when the message is none.
pub(super) fn read(
    incoming: &Incoming,
    event_type: &EventType,
) -> Result<Option<Content>, Rejection> {
    let media_type = incoming.properties.content_type().unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(STRUCTURED) {
        return read_structured(&incoming.body, event_type).map(Some);
    }
    if media_type.to_ascii_lowercase().starts_with(BATCH) {
        return Err(bad("batches are not supported: send one event per message"));
    }
    read_binary(incoming, event_type)
}

fn read_structured(body: &Bytes, event_type: &EventType) -> Result<Content, Rejection> {
    let envelope: Envelope<'_> = serde_json::from_slice(body)
        .map_err(|error| bad(format!("the envelope cannot be read: {error}")))?;
    check(&envelope.specversion, &envelope.event_type, event_type)?;
    if envelope.data_base64.is_some() {
        return Err(bad("data_base64 is not supported: send JSON in data"));
    }
    let data = match envelope.data {
        // The value lies in the body, so this is a view of it.
        Some(value) => body.slice_ref(value.get().as_bytes()),
        None => Bytes::from_static(b"null"),
    };
    Ok(Content {
        id: Some(envelope.id),
        time: envelope.time.as_deref().map(read_time).transpose()?,
        traceparent: envelope.traceparent,
        data,
    })
}

fn read_binary(incoming: &Incoming, event_type: &EventType) -> Result<Option<Content>, Rejection> {
    let attribute = |name: &str| {
        let header = |prefix| incoming.properties.text(&format!("{prefix}{name}"));
        PREFIXES.into_iter().find_map(header)
    };
    let Some(version) = attribute("specversion") else {
        return Ok(None);
    };
    let required = |name| attribute(name).ok_or_else(|| bad(format!("{name} is missing")));
    check(version, required("type")?, event_type)?;
    Ok(Some(Content {
        id: Some(required("id")?.to_owned()),
        time: attribute("time").map(read_time).transpose()?,
        traceparent: attribute("traceparent").map(str::to_owned),
        data: incoming.body.clone(),
    }))
}

fn check(version: &str, own: &str, routed: &EventType) -> Result<(), Rejection> {
    if version != "1.0" {
        return Err(bad(format!(
            "specversion is {version:?}; 1.0 is understood"
        )));
    }
    if own != routed.as_str() {
        return Err(bad(format!(
            "type is {own:?}, but the routing key says {routed}"
        )));
    }
    Ok(())
}

fn read_time(text: &str) -> Result<DateTime<Utc>, Rejection> {
    parse_time(text).map_err(|detail| bad(format!("time: {detail}")))
}

fn bad(detail: impl Into<String>) -> Rejection {
    Rejection::new(RejectReason::BadCloudEvent, detail)
}
