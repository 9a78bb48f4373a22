//! An attempt that is due: what one dispatcher tells another through the queues.
//!
//! The body is the rendered request body, exactly the bytes that the receiver gets; everything
//! else is in headers. The endpoint's URL, secrets and settings are not in the message: they are
//! taken as they are when the attempt is made. Old messages must stay readable: raise
//! [`VERSION`] for a change of meaning, and never edit a file in `tests/golden`.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use signpost_domain::{DeliveryId, EndpointId, EventId, EventType, TenantId, Tier, Trigger};

use super::{Headers, Properties, Publish, RejectReason, Rejection, event};
use crate::{
    consumer::Incoming,
    topology::{DELIVERIES, retry_queue},
};

/// The version that is written, and the only one that is read.
const VERSION: i64 = 1;
/// Only copies that the reconciler publishes have it.
const LEASE: &str = "signpost-lease";

/// One attempt that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryMessage {
    /// Whose it is.
    pub tenant: TenantId,
    /// The event to bring.
    pub event_id: EventId,
    /// Where to bring it.
    pub endpoint_id: EndpointId,
    /// The duty to do so.
    pub delivery_id: DeliveryId,
    /// The event's type.
    pub event_type: EventType,
    /// The number of the attempt that is due, from 1.
    pub attempt: u32,
    /// Automatic retries made so far.
    pub retries_used: u32,
    /// Why the attempt is made.
    pub trigger: Trigger,
    /// When it is due, to the millisecond.
    pub due_at: DateTime<Utc>,
    /// When the event happened, to the microsecond.
    pub occurred_at: DateTime<Utc>,
    /// The profile that the body was rendered with.
    pub profile: String,
    /// Its version.
    pub profile_version: u32,
    /// For a copy that the reconciler published: the lease that it took in the ledger for it, to the
    /// microsecond. Whoever claims the attempt takes that lease over, and no other.
    pub lease: Option<DateTime<Utc>>,
    /// Trace context of the event.
    pub traceparent: Option<String>,
    /// The request body.
    pub body: Bytes,
}

impl DeliveryMessage {
    /// The message for the queue [`DELIVERIES`]: the attempt is due, or nearly.
    pub fn to_deliveries(&self) -> Publish {
        self.to(DELIVERIES, DELIVERIES)
    }

    /// The message for a delay tier, which passes it on to [`DELIVERIES`] when its time is over.
    /// It goes by the default exchange: where the tier's queue is missing, the publish fails
    /// instead of ending up with the rejected ones.
    pub fn to_tier(&self, tier: Tier) -> Publish {
        self.to("", &retry_queue(tier))
    }

    fn to(&self, exchange: &str, routing_key: &str) -> Publish {
        let occurred_at = self
            .occurred_at
            .to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut headers = Headers::new()
            .int("signpost-version", VERSION)
            .text("signpost-tenant", self.tenant.as_str())
            .text("signpost-event-id", self.event_id.as_str())
            .text("signpost-endpoint-id", self.endpoint_id.as_str())
            .text("signpost-delivery-id", self.delivery_id.as_str())
            .text("signpost-event-type", self.event_type.as_str())
            .int("signpost-attempt", i64::from(self.attempt))
            .int("signpost-retries-used", i64::from(self.retries_used))
            .text("signpost-trigger", self.trigger.as_str())
            .int("signpost-due-at", self.due_at.timestamp_millis())
            .text("signpost-occurred-at", &occurred_at)
            .text("signpost-profile", &self.profile)
            .int("signpost-profile-version", i64::from(self.profile_version));
        if let Some(lease) = self.lease {
            headers = headers.int(LEASE, lease.timestamp_micros());
        }
        if let Some(traceparent) = &self.traceparent {
            headers = headers.text(event::TRACEPARENT, traceparent);
        }
        Publish {
            exchange: exchange.to_owned(),
            routing_key: routing_key.to_owned(),
            properties: Properties::persistent()
                .with_content_type("application/json")
                .with_message_id(self.delivery_id.as_str())
                .with_headers(headers),
            body: self.body.clone(),
        }
    }

    /// Reads a message from the queue [`DELIVERIES`].
    ///
    /// # Errors
    /// It is not one of ours, or of a version that this program does not know.
    pub fn decode(incoming: &Incoming) -> Result<Self, Rejection> {
        let fields = Fields(&incoming.properties);
        match fields.int("signpost-version")? {
            VERSION => {}
            other => return Err(bad(format!("version {other} is not {VERSION}"))),
        }
        let trigger = fields.text("signpost-trigger")?;
        let due_at = fields.int("signpost-due-at")?;
        let occurred_at = fields.text("signpost-occurred-at")?;
        Ok(Self {
            tenant: fields.parsed("signpost-tenant")?,
            event_id: fields.parsed("signpost-event-id")?,
            endpoint_id: fields.parsed("signpost-endpoint-id")?,
            delivery_id: fields.parsed("signpost-delivery-id")?,
            event_type: fields.parsed("signpost-event-type")?,
            attempt: match fields.u32("signpost-attempt")? {
                0 => return Err(bad("signpost-attempt is 0; attempts count from 1")),
                number => number,
            },
            retries_used: fields.u32("signpost-retries-used")?,
            trigger: Trigger::parse(trigger)
                .ok_or_else(|| bad(format!("signpost-trigger {trigger:?} is not one")))?,
            due_at: DateTime::from_timestamp_millis(due_at)
                .ok_or_else(|| bad(format!("signpost-due-at {due_at} is no time")))?,
            occurred_at: event::parse_time(occurred_at).map_err(bad)?,
            profile: fields.text("signpost-profile")?.to_owned(),
            profile_version: fields.u32("signpost-profile-version")?,
            lease: incoming
                .properties
                .int(LEASE)
                .and_then(DateTime::from_timestamp_micros),
            traceparent: incoming
                .properties
                .text(event::TRACEPARENT)
                .map(str::to_owned),
            body: incoming.body.clone(),
        })
    }
}

struct Fields<'a>(&'a Properties);

impl<'a> Fields<'a> {
    fn text(&self, name: &str) -> Result<&'a str, Rejection> {
        let value = self.0.text(name);
        value.ok_or_else(|| bad(format!("{name} is missing or no text")))
    }

    fn int(&self, name: &str) -> Result<i64, Rejection> {
        let value = self.0.int(name);
        value.ok_or_else(|| bad(format!("{name} is missing or no whole number")))
    }

    fn u32(&self, name: &str) -> Result<u32, Rejection> {
        let value = self.int(name)?;
        u32::try_from(value).map_err(|_outside| bad(format!("{name} {value} is out of range")))
    }

    fn parsed<T: std::str::FromStr<Err = signpost_domain::IdError>>(
        &self,
        name: &str,
    ) -> Result<T, Rejection> {
        let value = self.text(name)?.parse();
        value.map_err(|error: signpost_domain::IdError| bad(format!("{name}: {error}")))
    }
}

fn bad(detail: impl Into<String>) -> Rejection {
    Rejection::new(RejectReason::BadDelivery, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn message() -> DeliveryMessage {
        DeliveryMessage {
            tenant: TenantId::parse("acme").unwrap(),
            event_id: EventId::parse("evt_1").unwrap(),
            endpoint_id: EndpointId::parse("ep_01h455vb4pex5vsknk084sn02q").unwrap(),
            delivery_id: DeliveryId::parse("dlv_01h455vb4pex5vsknk084sn02q").unwrap(),
            event_type: EventType::parse("license.created").unwrap(),
            attempt: 3,
            retries_used: 1,
            trigger: Trigger::Retry,
            due_at: DateTime::from_timestamp_millis(1_772_600_767_250).unwrap(),
            occurred_at: event::parse_time("2026-03-04T05:06:07.123456Z").unwrap(),
            profile: "standard-webhooks".to_owned(),
            profile_version: 1,
            lease: None,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            body: Bytes::from_static(
                "{\"type\":\"license.created\",\"data\":{\"ä\":1.0}}".as_bytes(),
            ),
        }
    }

    fn received(publish: &Publish) -> Incoming {
        Incoming::detached(
            &publish.routing_key,
            publish.properties.clone(),
            publish.body.clone(),
        )
    }

    /// The message as version 1 writes it. Never edit the file: messages like it wait in queues.
    const VERSION_1: &str = include_str!("../../tests/golden/delivery-v1.json");

    #[test]
    fn the_message_is_the_one_of_version_1() {
        let publish = message().to_deliveries();
        let written = json!({
            "message_id": publish.properties.message_id(),
            "content_type": publish.properties.content_type(),
            "headers": publish.properties.headers_as_json(),
            "body": String::from_utf8_lossy(&publish.body),
        });
        let golden: Value = serde_json::from_str(VERSION_1).unwrap();
        assert_eq!(written, golden);
        assert_eq!(DeliveryMessage::decode(&received(&publish)), Ok(message()));
    }

    #[test]
    fn what_is_not_set_stays_so() {
        let message = DeliveryMessage {
            traceparent: None,
            ..message()
        };
        let publish = message.to_deliveries();
        assert!(!publish.properties.has_header(event::TRACEPARENT));
        assert_eq!(DeliveryMessage::decode(&received(&publish)), Ok(message));
    }

    #[test]
    fn a_lease_is_kept_to_the_microsecond() {
        let message = DeliveryMessage {
            lease: DateTime::from_timestamp_micros(1_772_600_767_250_001),
            ..message()
        };
        let publish = message.to_deliveries();
        assert_eq!(DeliveryMessage::decode(&received(&publish)), Ok(message));
    }

    #[test]
    fn it_goes_to_the_deliveries_or_to_a_tier() {
        let publish = message().to_deliveries();
        assert_eq!(
            (publish.exchange.as_str(), publish.routing_key.as_str()),
            ("signpost.deliveries", "signpost.deliveries")
        );
        let tier = Tier::all().nth(3).unwrap();
        let publish = message().to_tier(tier);
        assert_eq!(
            (publish.exchange.as_str(), publish.routing_key.as_str()),
            ("", "signpost.retry.10s")
        );
    }

    #[test]
    fn a_message_that_is_not_ours_is_rejected() {
        let good = message().to_deliveries();
        let foreign = Incoming::detached("x", Properties::persistent(), "x");
        let rejection = DeliveryMessage::decode(&foreign).unwrap_err();
        assert_eq!(rejection.reason, RejectReason::BadDelivery);
        let names: Vec<_> = good.properties.header_names().map(str::to_owned).collect();
        for name in names {
            let headers = good.properties.publisher_headers();
            let wrong = if name == "signpost-profile" {
                headers.int(&name, 7)
            } else {
                headers.text(&name, "nonsense")
            };
            let publish = Publish {
                properties: Properties::persistent().with_headers(wrong),
                ..good.clone()
            };
            let decoded = DeliveryMessage::decode(&received(&publish));
            let is_optional = name == event::TRACEPARENT;
            // These take any text.
            let is_text = [
                "signpost-tenant",
                "signpost-event-id",
                "signpost-event-type",
            ];
            let is_fine = is_optional || is_text.contains(&name.as_str());
            assert_eq!(decoded.is_ok(), is_fine, "{name}: {decoded:?}");
        }
        let later = good
            .properties
            .publisher_headers()
            .int("signpost-version", 2);
        let publish = Publish {
            properties: Properties::persistent().with_headers(later),
            ..good
        };
        let rejection = DeliveryMessage::decode(&received(&publish)).unwrap_err();
        assert!(rejection.detail.contains("version 2"), "{rejection}");
    }
}
