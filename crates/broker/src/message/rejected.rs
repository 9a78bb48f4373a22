//! A message that could not be worked on, with the reason, for people to look at.
//!
//! Written by the dispatcher; RabbitMQ puts messages into the same queue by itself (unroutable, or
//! dead-lettered), so reading makes do with what is there.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use lapin::types::AMQPValue;
use serde_json::Value;
use sha2::{Digest, Sha256};
use signpost_domain::id::type_id;

use super::{Headers, Properties, Publish, RejectReason, Rejection, cut};
use crate::{
    consumer::Incoming,
    topology::{EVENTS, REJECTED},
};

const ID: &str = "signpost-rejected-id";
const REASON: &str = "signpost-reason";
const ERROR: &str = "signpost-error";
const SOURCE_QUEUE: &str = "signpost-source-queue";
const SOURCE_EXCHANGE: &str = "signpost-source-exchange";
const REJECTED_AT: &str = "signpost-rejected-at";
/// The broker's own account of dead-lettering.
const DEATH: &str = "x-death";
/// Ours that come and go with a rejection; a requeued message has none of them.
const OWN: [&str; 6] = [
    ID,
    REASON,
    ERROR,
    SOURCE_QUEUE,
    SOURCE_EXCHANGE,
    REJECTED_AT,
];

/// Most bytes of the header `signpost-error`.
const MAX_ERROR: usize = 512;
/// Most bytes of the publisher's headers that are kept: with ours and the properties they must fit
/// into one frame of 128 KiB, or the broker closes the connection.
const MAX_HEADERS: usize = 80 * 1024;

/// A message in the queue [`REJECTED`].
#[derive(Debug, Clone, PartialEq)]
pub struct RejectedMessage {
    /// Names it in the API. Messages that the broker put here have an id made from their content;
    /// equal ones share it.
    pub id: String,
    /// Why it is here; a word of [`RejectReason`], unless a newer version wrote it.
    pub reason: String,
    /// What was wrong, for a person.
    pub error: String,
    /// The queue it came from, where known.
    pub source_queue: Option<String>,
    /// The exchange it was published to, where known.
    pub exchange: Option<String>,
    /// The routing key it was published with.
    pub routing_key: String,
    /// When it was rejected, where known.
    pub rejected_at: Option<DateTime<Utc>>,
    /// The publisher's id.
    pub message_id: Option<String>,
    /// The body's media type.
    pub content_type: Option<String>,
    /// All headers, for a person.
    pub headers: Value,
    /// The original bytes.
    pub body: Bytes,
    properties: Properties,
}

impl RejectedMessage {
    /// The message that takes `incoming` to the exchange [`REJECTED`]: its bytes, its properties
    /// and headers (but the broker's), and why. `random` makes its id.
    pub fn wrap(
        incoming: &Incoming,
        rejection: &Rejection,
        source_queue: &str,
        now: DateTime<Utc>,
        random: [u8; 10],
    ) -> Publish {
        let published = Publish {
            exchange: incoming.exchange.clone(),
            routing_key: incoming.routing_key.clone(),
            properties: incoming.properties.clone(),
            body: incoming.body.clone(),
        };
        Self::wrap_published(published, rejection, source_queue, now, random)
    }

    /// The same for a message as it was published.
    pub fn wrap_published(
        published: Publish,
        rejection: &Rejection,
        source_queue: &str,
        now: DateTime<Utc>,
        random: [u8; 10],
    ) -> Publish {
        let mut headers = original_headers(&published.properties);
        if headers.size() > MAX_HEADERS {
            headers = Headers::new().text("signpost-headers-dropped", "too large or too deep");
        }
        let headers = headers
            .text(ID, &type_id("rej", now, random))
            .text(REASON, rejection.reason.as_str())
            .text(ERROR, cut(&rejection.detail, MAX_ERROR))
            .text(SOURCE_QUEUE, source_queue)
            .text(SOURCE_EXCHANGE, &published.exchange)
            .text(
                REJECTED_AT,
                &now.to_rfc3339_opts(SecondsFormat::Millis, true),
            );
        Publish {
            exchange: REJECTED.to_owned(),
            routing_key: published.routing_key,
            properties: published.properties.content_only().with_headers(headers),
            body: published.body,
        }
    }

    /// Reads a message from the queue [`REJECTED`]. Any message can be read.
    ///
    /// Our own headers count only where we have set them. A message that the broker put here has
    /// its publisher's headers, which may claim anything: what is sent on its way again must not
    /// go where its publisher may not publish.
    pub fn read(incoming: Incoming) -> Self {
        let origin = Origin::of(&incoming);
        let properties = &incoming.properties;
        Self {
            id: origin.id,
            reason: origin.reason,
            error: origin.error,
            source_queue: origin.queue,
            exchange: origin.exchange,
            rejected_at: origin.rejected_at,
            message_id: properties.message_id().map(str::to_owned),
            content_type: properties.content_type().map(str::to_owned),
            headers: properties.headers_as_json(),
            routing_key: incoming.routing_key,
            body: incoming.body,
            properties: incoming.properties,
        }
    }

    /// The message as it was published first, to its exchange; to [`EVENTS`] where that is not
    /// known.
    pub fn unwrap_original(&self) -> Publish {
        let headers = original_headers(&self.properties);
        Publish {
            exchange: self.exchange.clone().unwrap_or_else(|| EVENTS.to_owned()),
            routing_key: self.routing_key.clone(),
            properties: self.properties.content_only().with_headers(headers),
            body: self.body.clone(),
        }
    }
}

/// What the publisher set: neither the broker's headers nor those of an earlier rejection.
fn original_headers(properties: &Properties) -> Headers {
    properties.publisher_headers().without(&OWN)
}

/// Where a rejected message came from, and why.
struct Origin {
    id: String,
    reason: String,
    error: String,
    queue: Option<String>,
    exchange: Option<String>,
    rejected_at: Option<DateTime<Utc>>,
}

impl Origin {
    fn of(incoming: &Incoming) -> Self {
        let properties = &incoming.properties;
        if incoming.exchange != REJECTED {
            return Self {
                id: content_id(incoming),
                reason: RejectReason::Unroutable.to_string(),
                error: "no queue is bound for this routing key".to_owned(),
                queue: None,
                exchange: Some(incoming.exchange.clone()),
                rejected_at: None,
            };
        }
        // We never copy it, so the broker has set it.
        if properties.has_header(DEATH) {
            let death = |name| death_text(properties, name);
            return Self {
                id: content_id(incoming),
                reason: RejectReason::DeadLettered.to_string(),
                error: death("reason").unwrap_or_default(),
                queue: death("queue"),
                exchange: death("exchange"),
                rejected_at: None,
            };
        }
        let text = |name| properties.text(name).map(str::to_owned);
        let rejected_at = properties.text(REJECTED_AT);
        Self {
            id: text(ID).unwrap_or_else(|| content_id(incoming)),
            reason: text(REASON).unwrap_or_else(|| RejectReason::Failed.to_string()),
            error: text(ERROR).unwrap_or_default(),
            queue: text(SOURCE_QUEUE),
            exchange: text(SOURCE_EXCHANGE),
            rejected_at: rejected_at.and_then(|text| super::event::parse_time(text).ok()),
        }
    }
}

/// A text of the newest entry of `x-death` (<https://www.rabbitmq.com/docs/dlx#effects>).
fn death_text(properties: &Properties, name: &str) -> Option<String> {
    let AMQPValue::FieldArray(entries) = properties.value(DEATH)? else {
        return None;
    };
    let AMQPValue::FieldTable(newest) = entries.as_slice().first()? else {
        return None;
    };
    match newest.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// An id for a message that has none: the same for the same message at every look.
fn content_id(incoming: &Incoming) -> String {
    let mut hash = Sha256::new();
    let id = incoming.properties.message_id().unwrap_or_default();
    for part in [&incoming.exchange, incoming.routing_key.as_str(), id] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(&incoming.body);
    format!("rej_{}", hex::encode(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use lapin::{BasicProperties, types::FieldTable};

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_772_600_767_250).unwrap()
    }

    fn poison() -> Incoming {
        let mut headers = FieldTable::default();
        headers.insert("mine".into(), AMQPValue::LongInt(7));
        headers.insert("x-death".into(), AMQPValue::LongString("copied".into()));
        headers.insert("x-delivery-count".into(), AMQPValue::LongInt(2));
        let properties = BasicProperties::default()
            .with_headers(headers)
            .with_message_id("a b".into())
            .with_content_type("text/plain".into())
            .with_expiration("10".into());
        let body = &b"\xff\x00 not JSON"[..];
        Incoming {
            exchange: EVENTS.to_owned(),
            ..Incoming::detached("acme.a", Properties::from_lapin(properties), body)
        }
    }

    fn in_queue(publish: Publish) -> Incoming {
        Incoming {
            exchange: publish.exchange,
            ..Incoming::detached(&publish.routing_key, publish.properties, publish.body)
        }
    }

    #[test]
    fn bytes_and_properties_stay_and_the_reason_is_added() {
        let rejection = Rejection::new(RejectReason::BadJson, "ä".repeat(400));
        let publish = RejectedMessage::wrap(&poison(), &rejection, EVENTS, now(), [1; 10]);
        assert_eq!(publish.exchange, REJECTED);
        assert_eq!(publish.body, poison().body);
        let rejected = RejectedMessage::read(in_queue(publish));
        assert!(rejected.id.starts_with("rej_"));
        assert_eq!(rejected.reason, "bad_json");
        assert_eq!(rejected.error, "ä".repeat(256));
        assert_eq!(rejected.source_queue.as_deref(), Some(EVENTS));
        assert_eq!(rejected.routing_key, "acme.a");
        assert_eq!(rejected.rejected_at, Some(now()));
        assert_eq!(rejected.message_id.as_deref(), Some("a b"));
        assert_eq!(rejected.headers["mine"], 7);
        assert_eq!(rejected.headers.get("x-death"), None);
        assert_eq!(rejected.headers.get("x-delivery-count"), None);
    }

    #[test]
    fn requeued_it_is_as_it_was_published() {
        let rejection = Rejection::new(RejectReason::BadJson, "no");
        let publish = RejectedMessage::wrap(&poison(), &rejection, EVENTS, now(), [1; 10]);
        let original = RejectedMessage::read(in_queue(publish)).unwrap_original();
        let expected = Properties::persistent()
            .with_message_id("a b")
            .with_content_type("text/plain")
            .with_headers(poison().properties.publisher_headers());
        let expected = Publish {
            exchange: EVENTS.to_owned(),
            routing_key: "acme.a".to_owned(),
            properties: expected,
            body: poison().body,
        };
        assert_eq!(original, expected);
    }

    #[test]
    fn a_publisher_cannot_claim_another_origin() {
        let claims = || {
            Headers::new()
                .text(SOURCE_EXCHANGE, "signpost.deliveries")
                .text(ID, "rej_forged")
                .text(REASON, "bad_json")
        };
        let unroutable = Incoming {
            exchange: EVENTS.to_owned(),
            ..Incoming::detached(
                "acme.a",
                Properties::persistent().with_headers(claims()),
                "{}",
            )
        };
        let read = RejectedMessage::read(unroutable);
        assert_eq!(read.exchange.as_deref(), Some(EVENTS));
        assert_eq!(read.reason, "unroutable");
        assert_ne!(read.id, "rej_forged");
        assert!(!read.unwrap_original().properties.has_header(ID));

        let rejection = Rejection::new(RejectReason::BadJson, "no");
        let claiming = Incoming {
            exchange: EVENTS.to_owned(),
            ..Incoming::detached(
                "acme.a",
                Properties::persistent().with_headers(claims()),
                "x",
            )
        };
        let publish = RejectedMessage::wrap(&claiming, &rejection, EVENTS, now(), [1; 10]);
        let read = RejectedMessage::read(in_queue(publish));
        assert_eq!(read.exchange.as_deref(), Some(EVENTS));
    }

    #[test]
    fn headers_that_would_break_the_connection_are_left_out() {
        let headers = Headers::new().text("huge", &"x".repeat(MAX_HEADERS));
        let huge = Properties::persistent().with_headers(headers);
        let rejection = Rejection::new(RejectReason::BadJson, "no");
        let incoming = Incoming::detached("acme.a", huge, "x");
        let publish = RejectedMessage::wrap(&incoming, &rejection, EVENTS, now(), [1; 10]);
        assert!(!publish.properties.has_header("huge"));
        assert!(publish.properties.has_header("signpost-headers-dropped"));
        assert!(publish.properties.headers_size() < 2048);
    }

    #[test]
    fn what_the_broker_put_there_can_be_read_too() {
        let unroutable = Incoming {
            exchange: EVENTS.to_owned(),
            ..Incoming::detached("acme.a", Properties::persistent(), "{}")
        };
        let read = RejectedMessage::read(unroutable);
        assert_eq!(
            (read.reason.as_str(), read.exchange.as_deref()),
            ("unroutable", Some(EVENTS))
        );
        assert_eq!(read.id.len(), 36);

        let mut death = FieldTable::default();
        for (name, value) in [
            ("exchange", EVENTS),
            ("queue", EVENTS),
            ("reason", "delivery_limit"),
        ] {
            death.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let mut headers = FieldTable::default();
        let deaths = vec![AMQPValue::FieldTable(death)];
        headers.insert("x-death".into(), AMQPValue::FieldArray(deaths.into()));
        let dead = || Incoming {
            exchange: REJECTED.to_owned(),
            ..Incoming::detached(
                "acme.a",
                Properties::from_lapin(BasicProperties::default().with_headers(headers.clone())),
                "{}",
            )
        };
        let read = RejectedMessage::read(dead());
        assert_eq!(
            (read.reason.as_str(), read.error.as_str()),
            ("dead_lettered", "delivery_limit")
        );
        assert_eq!(read.source_queue.as_deref(), Some(EVENTS));
        assert_eq!(read.exchange.as_deref(), Some(EVENTS));
        assert_eq!(read.id, RejectedMessage::read(dead()).id);
        assert!(!read.unwrap_original().properties.has_header("x-death"));
    }
}
