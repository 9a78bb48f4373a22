//! The probe: a message of Signpost's own that goes the way of an event and its delivery, to show
//! that the way is open.
//!
//! It belongs to no tenant. Its routing key begins with a word that no tenant can be called, so that a
//! publisher who is confined to a tenant's events cannot send one.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{Headers, Properties, Publish};
use crate::{
    consumer::Incoming,
    topology::{DELIVERIES, EVENTS},
};

/// Tenants' ids begin with a letter or a digit.
const ROUTING_KEY: &str = "_signpost.probe";
/// Milliseconds since 1970.
const SENT_AT: &str = "signpost-probe-sent-at";

/// A probe on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeMessage {
    /// When it was published, to the millisecond.
    pub sent_at: DateTime<Utc>,
}

impl ProbeMessage {
    /// The message for the exchange [`EVENTS`].
    pub fn to_events(self) -> Publish {
        self.to(EVENTS, ROUTING_KEY)
    }

    /// The message for the queue [`DELIVERIES`].
    pub fn to_deliveries(self) -> Publish {
        self.to(DELIVERIES, DELIVERIES)
    }

    fn to(self, exchange: &str, routing_key: &str) -> Publish {
        let sent_at = self.sent_at.timestamp_millis();
        Publish {
            exchange: exchange.to_owned(),
            routing_key: routing_key.to_owned(),
            properties: Properties::persistent()
                .with_message_id(&format!("probe-{sent_at}"))
                .with_headers(Headers::new().int(SENT_AT, sent_at)),
            body: Bytes::new(),
        }
    }

    /// The probe, if a message of the queue [`EVENTS`] is one. The header alone makes none: any
    /// publisher can send that.
    pub fn from_events(incoming: &Incoming) -> Option<Self> {
        let is_probe = incoming.routing_key == ROUTING_KEY;
        is_probe.then(|| Self::read(incoming)).flatten()
    }

    /// The probe, if a message of the queue [`DELIVERIES`] is one. Only dispatchers publish there.
    pub fn from_deliveries(incoming: &Incoming) -> Option<Self> {
        Self::read(incoming)
    }

    fn read(incoming: &Incoming) -> Option<Self> {
        let millis = incoming.properties.int(SENT_AT)?;
        let sent_at = DateTime::from_timestamp_millis(millis)?;
        Some(Self { sent_at })
    }
}

#[cfg(test)]
mod tests {
    use signpost_domain::TenantId;

    use super::*;

    fn arrived(publish: Publish) -> Incoming {
        Incoming::detached(&publish.routing_key, publish.properties, publish.body)
    }

    #[test]
    fn is_read_as_it_was_written() {
        let sent_at = DateTime::from_timestamp_millis(1_772_600_767_123).unwrap();
        let probe = ProbeMessage { sent_at };
        let as_event = arrived(probe.to_events());
        assert_eq!(ProbeMessage::from_events(&as_event), Some(probe));
        let as_delivery = arrived(probe.to_deliveries());
        assert_eq!(ProbeMessage::from_deliveries(&as_delivery), Some(probe));
    }

    #[test]
    fn no_tenant_can_send_one() {
        let (tenant, _) = ROUTING_KEY.split_once('.').unwrap();
        assert!(TenantId::parse(tenant).is_err());
        let mut publish = ProbeMessage {
            sent_at: DateTime::UNIX_EPOCH,
        }
        .to_events();
        publish.routing_key = "acme.probe".to_owned();
        assert_eq!(ProbeMessage::from_events(&arrived(publish)), None);
    }

    #[test]
    fn what_has_no_time_is_none() {
        let none = Incoming::detached(ROUTING_KEY, Properties::persistent(), Bytes::new());
        assert_eq!(ProbeMessage::from_events(&none), None);
        let far = Properties::persistent().with_headers(Headers::new().int(SENT_AT, i64::MAX));
        let far = Incoming::detached(ROUTING_KEY, far, Bytes::new());
        assert_eq!(ProbeMessage::from_events(&far), None);
    }
}
