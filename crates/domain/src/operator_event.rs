//! Operator events: what happens to a tenant's endpoints and deliveries, as events of that tenant.
//!
//! They go the way of all events, so anybody can subscribe to them. A delivery of an operator
//! event that fails makes no further operator event: nothing may go round in circles.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::{DeliveryId, EndpointId, EventId, EventType};

/// Something that Signpost itself did or saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorEvent {
    /// Its receiver said 410 Gone: the endpoint gets nothing more.
    EndpointDisabled {
        /// Which one.
        endpoint_id: EndpointId,
        /// Why, for a person.
        reason: String,
    },
    /// It has only failed for days: its deliveries are held.
    EndpointPaused {
        /// Which one.
        endpoint_id: EndpointId,
        /// Why, for a person.
        reason: String,
        /// Since when every attempt has failed.
        failing_since: DateTime<Utc>,
    },
    /// An endpoint that had failed for a while has taken a delivery.
    EndpointRecovering {
        /// Which one.
        endpoint_id: EndpointId,
        /// Since when every attempt had failed.
        failing_since: DateTime<Utc>,
    },
    /// A delivery has ended without success.
    DeliveryFailed {
        /// Which one.
        delivery_id: DeliveryId,
        /// What was to be delivered.
        event_id: EventId,
        /// Its type.
        event_type: EventType,
        /// Where to.
        endpoint_id: EndpointId,
        /// Attempts made.
        attempt_count: u32,
        /// The last answer's status.
        last_status_code: Option<u16>,
        /// Why there is no further attempt, for a person.
        reason: String,
    },
}

const ENDPOINT_DISABLED: &str = "endpoint.disabled";
const ENDPOINT_PAUSED: &str = "endpoint.paused";
const ENDPOINT_RECOVERING: &str = "endpoint.recovering";
const DELIVERY_FAILED: &str = "delivery.failed";

impl OperatorEvent {
    /// The types of all operator events.
    pub const TYPES: [&'static str; 4] = [
        ENDPOINT_DISABLED,
        ENDPOINT_PAUSED,
        ENDPOINT_RECOVERING,
        DELIVERY_FAILED,
    ];

    /// Whether events of this type are operator events.
    pub fn is_type(event_type: &EventType) -> bool {
        Self::TYPES.contains(&event_type.as_str())
    }

    /// Its event type.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::EndpointDisabled { .. } => ENDPOINT_DISABLED,
            Self::EndpointPaused { .. } => ENDPOINT_PAUSED,
            Self::EndpointRecovering { .. } => ENDPOINT_RECOVERING,
            Self::DeliveryFailed { .. } => DELIVERY_FAILED,
        }
    }

    /// Its data.
    pub fn data(&self) -> Value {
        match self {
            Self::EndpointDisabled {
                endpoint_id,
                reason,
            } => json!({"endpoint_id": endpoint_id, "reason": reason}),
            Self::EndpointPaused {
                endpoint_id,
                reason,
                failing_since,
            } => json!({
                "endpoint_id": endpoint_id,
                "reason": reason,
                "failing_since": rfc3339(*failing_since),
            }),
            Self::EndpointRecovering {
                endpoint_id,
                failing_since,
            } => json!({
                "endpoint_id": endpoint_id,
                "failing_since": rfc3339(*failing_since),
            }),
            Self::DeliveryFailed {
                delivery_id,
                event_id,
                event_type,
                endpoint_id,
                attempt_count,
                last_status_code,
                reason,
            } => json!({
                "delivery_id": delivery_id,
                "event_id": event_id,
                "event_type": event_type,
                "endpoint_id": endpoint_id,
                "attempt_count": attempt_count,
                "last_status_code": last_status_code,
                "reason": reason,
            }),
        }
    }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_an_event_type_and_known_as_an_operator_event() {
        for name in OperatorEvent::TYPES {
            assert!(OperatorEvent::is_type(&EventType::parse(name).unwrap()));
        }
        assert!(!OperatorEvent::is_type(
            &EventType::parse("post.created").unwrap()
        ));
    }

    #[test]
    fn data_names_what_it_is_about() {
        let event = OperatorEvent::DeliveryFailed {
            delivery_id: DeliveryId::generate(DateTime::UNIX_EPOCH, [1; 10]),
            event_id: EventId::parse("order-17").unwrap(),
            event_type: EventType::parse("order.paid").unwrap(),
            endpoint_id: EndpointId::generate(DateTime::UNIX_EPOCH, [2; 10]),
            attempt_count: 3,
            last_status_code: None,
            reason: "timeout, and all 2 retries are used up".to_owned(),
        };
        let data = event.data();
        assert_eq!(
            [
                &data["event_id"],
                &data["event_type"],
                &data["attempt_count"]
            ],
            [&json!("order-17"), &json!("order.paid"), &json!(3)]
        );
        assert_eq!(data["last_status_code"], Value::Null);
        assert_eq!(OperatorEvent::TYPES[3], event.event_type());
    }
}
