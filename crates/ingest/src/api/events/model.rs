//! Events as they look outside.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use signpost_domain::TenantId;
use utoipa::ToSchema;

use crate::error::ErrorCode;

/// An event that the broker has confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedEvent<'e> {
    /// Its id: the publisher's, the `Idempotency-Key`, or a new one.
    #[schema(example = "evt_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub id: &'e str,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "license.created")]
    pub event_type: &'e str,
    /// Whose event it is.
    #[schema(example = "acme")]
    pub tenant: &'e str,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

/// A fact to be reported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `publish::read` reads")]
#[schema(example = json!({"type": "license.created", "data": {"license": "A-1", "seats": 5}}))]
pub struct NewEvent {
    /// What happened: words of letters, digits, `_` and `-`, joined by dots.
    #[serde(rename = "type")]
    #[schema(
        example = "license.created",
        max_length = 128,
        pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
    )]
    event_type: String,
    /// The facts: any JSON, sent on byte for byte; nested at most 64 deep.
    #[schema(value_type = Value, example = json!({"license": "A-1", "seats": 5}))]
    data: Value,
    /// Names the event; publishing the same id again delivers nothing again.
    #[schema(example = "order-4711-paid", pattern = "^[A-Za-z0-9_-]{1,128}$")]
    id: Option<String>,
    /// When it happened, from 1970 on; by default now.
    #[schema(pattern = "^(19[7-9][0-9]|[2-9][0-9]{3})-")]
    occurred_at: Option<DateTime<Utc>>,
}

/// Facts to be reported.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(min_items = 1, max_items = 1000)]
#[expect(dead_code, reason = "describes the body that `publish::batch` splits")]
pub struct NewEvents(Vec<NewEvent>);

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResult {
    /// Ids of the events that the broker has confirmed, in the order of the batch.
    #[schema(example = json!(["evt_01jd8p4z3mfjrtvxq5s2w9hk6e"]))]
    pub accepted: Vec<String>,
    /// Those that were refused.
    pub rejected: Vec<RejectedItem>,
}

/// An event of a batch that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectedItem {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// What is wrong with it.
    #[schema(example = "validation_failed")]
    pub code: ErrorCode,
    /// What is wrong with it, for a person.
    #[schema(example = "/type: this field is required")]
    pub detail: String,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventBody {
    /// Its id.
    #[schema(example = "evt_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "license.created")]
    pub event_type: String,
    /// Whose event it is.
    #[schema(example = "acme")]
    pub tenant: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// When it was taken into the ledger.
    pub created_at: DateTime<Utc>,
    /// The facts as they were sent; null once they are no longer kept. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false, example = json!({"license": "A-1", "seats": 5}))]
    pub data: Option<Box<RawValue>>,
}

/// Whom to send an event again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `Fields` reads")]
pub struct ReplayTarget {
    /// Only this endpoint, whether or not its patterns match; by default all that match now.
    #[schema(
        example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e",
        pattern = "^ep_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    endpoint_id: Option<String>,
}

/// How many deliveries are on their way.
#[derive(Debug, Serialize, ToSchema)]
pub struct StartedDeliveries {
    /// The number of deliveries.
    #[schema(example = 3)]
    pub deliveries: u64,
}

impl EventBody {
    /// An event, with its data where that is shown.
    pub fn new(
        tenant: &TenantId,
        event: signpost_store::EventHeadline,
        data: Option<Box<RawValue>>,
    ) -> Self {
        Self {
            id: event.id.to_string(),
            event_type: event.event_type.to_string(),
            tenant: tenant.to_string(),
            occurred_at: event.occurred_at,
            created_at: event.created_at,
            data,
        }
    }
}
