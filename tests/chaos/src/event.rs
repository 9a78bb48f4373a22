//! The events that are published: the n-th one of a seed is always the same.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use signpost_wire::{EventParts, Profile};

use crate::seeded::Seeded;

/// The tenants. One of digits alone: the profile `core-api` writes it as a number.
pub(crate) const TENANTS: [&str; 3] = ["acme", "bolt", "4711"];
const TYPES: [&str; 4] = ["order.created", "order.paid", "user.created", "user.left"];
/// Of 100 events, so many are published over AMQP.
const OVER_AMQP: u64 = 15;
/// Second that events occurred in: a whole one, so that every way in keeps it exactly.
const OCCURRED: i64 = 1_790_000_000;

/// An event to publish.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) tenant: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) data: String,
    pub(crate) over_amqp: bool,
}

impl Event {
    /// The n-th event of a seed.
    pub(crate) fn nth(seed: u64, number: u64) -> Self {
        let id = format!("s{seed}-{number:06}");
        let mut seeded = Seeded::of(seed, &id);
        let tenant = TENANTS[seeded.index(TENANTS.len())];
        let kind = TYPES[seeded.index(TYPES.len())];
        let padding = "x".repeat(usize::try_from(seeded.below(600)).unwrap_or(0));
        // Order, spaces and number formats that a careless relay would change.
        let data = format!(
            r#"{{"z":1.50, "event":"{id}","of":"{tenant}",  "a":12345678901234567890123,"text":"{padding}"}}"#
        );
        let seconds = OCCURRED + i64::try_from(number).unwrap_or(0);
        Self {
            tenant,
            kind,
            occurred_at: DateTime::from_timestamp(seconds, 0).unwrap_or_default(),
            data,
            over_amqp: seeded.below(100) < OVER_AMQP,
            id,
        }
    }

    /// What is posted to the API.
    pub(crate) fn request_body(&self) -> Bytes {
        let at = self.occurred_at.format("%Y-%m-%dT%H:%M:%SZ");
        format!(
            r#"{{"id":"{}","type":"{}","occurred_at":"{at}","data":{}}}"#,
            self.id, self.kind, self.data
        )
        .into()
    }

    /// What a receiver with this profile must get.
    pub(crate) fn webhook_body(&self, profile: &Profile) -> Bytes {
        let parts = EventParts {
            id: &self.id,
            event_type: self.kind,
            tenant: self.tenant,
            occurred_at: self.occurred_at,
        };
        profile.render_body(&parts, self.data.as_bytes())
    }
}

/// The event's id and tenant in the body of any profile.
pub(crate) fn read_webhook(body: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(body).ok()?;
    let after = |start: &str| {
        let from = text.find(start)? + start.len();
        text.get(from..from + text.get(from..)?.find('"')?)
    };
    // Some profiles have a field `event` of their own, before the data.
    Some((after(r#""z":1.50, "event":""#)?, after(r#""of":""#)?))
}

#[cfg(test)]
mod tests {
    use signpost_wire::builtin;

    use super::*;

    #[test]
    fn the_same_number_is_the_same_event() {
        let (one, two) = (Event::nth(7, 12), Event::nth(7, 12));
        assert_eq!((one.id.as_str(), &one.data), ("s7-000012", &two.data));
        assert_ne!(Event::nth(8, 12).data, one.data);
        let over_amqp = (0..1000).filter(|n| Event::nth(7, *n).over_amqp).count();
        assert!((100..200).contains(&over_amqp), "{over_amqp}");
    }

    #[test]
    fn a_body_of_any_profile_tells_its_event() {
        let event = Event::nth(7, 12);
        for builtin in builtin() {
            let body = event.webhook_body(&builtin.profile);
            let read = read_webhook(&body);
            assert_eq!(
                read,
                Some((event.id.as_str(), event.tenant)),
                "{}",
                builtin.name
            );
        }
        assert_eq!(read_webhook(b"{}"), None);
    }

    #[test]
    fn the_api_is_sent_json() {
        let body: serde_json::Value =
            serde_json::from_slice(&Event::nth(7, 12).request_body()).unwrap();
        assert_eq!(body["id"], "s7-000012");
        assert_eq!(body["occurred_at"], "2026-09-21T14:13:32Z");
    }
}
