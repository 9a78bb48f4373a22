//! Deliveries and attempts as they look outside.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The duty to bring an event to an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryBody {
    /// Names it.
    #[schema(example = "dlv_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub id: String,
    /// The event.
    #[schema(example = "evt_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub event_id: String,
    /// What happened.
    #[schema(example = "license.created")]
    pub event_type: String,
    /// Where it goes.
    #[schema(example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub endpoint_id: String,
    /// Where it stands.
    #[schema(value_type = DeliveryStatusBody)]
    pub status: &'static str,
    /// Why it failed, is held or was discarded.
    #[schema(required, example = json!(null))]
    pub status_reason: Option<String>,
    /// How many attempts were made.
    #[schema(example = 1)]
    pub attempt_count: u32,
    /// The status code of the last attempt, if it got an answer.
    #[schema(required, example = 200)]
    pub last_status_code: Option<u16>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When the next attempt is due; null unless pending.
    #[schema(required, example = json!(null))]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it ended; null while pending or held.
    #[schema(required)]
    pub finished_at: Option<DateTime<Utc>>,
    /// The wire profile that its body is rendered with.
    #[schema(example = "standard-webhooks")]
    pub profile: String,
}

/// Where a delivery stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryStatus)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatusBody {
    /// An attempt is due, now or later.
    Pending,
    /// The receiver took it.
    Succeeded,
    /// Retries are used up, or the answer is one that is not retried.
    Failed,
    /// The endpoint is paused; sent when it becomes active again.
    Held,
    /// The endpoint is disabled or deleted: nothing is sent.
    Discarded,
}

/// A delivery with its whole story.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryStory {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: DeliveryBody,
    /// Its attempts, the first one first.
    pub attempts: Vec<AttemptBody>,
}

/// One HTTP request for a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptBody {
    /// From 1.
    #[schema(example = 1)]
    pub number: u32,
    /// Why it was made: `event`, `retry`, `manual`, `replay` or `test`.
    #[schema(value_type = TriggerBody)]
    pub trigger: &'static str,
    /// What it gave.
    #[schema(value_type = OutcomeBody)]
    pub outcome: &'static str,
    /// When the request left.
    pub requested_at: DateTime<Utc>,
    /// When the answer was there; null without one.
    #[schema(required)]
    pub responded_at: Option<DateTime<Utc>>,
    /// How long it took.
    #[schema(example = 42)]
    pub duration_ms: u32,
    /// The request's headers.
    #[schema(value_type = Object, example = json!({"webhook-id": "evt_01jd8p4z3mfjrtvxq5s2w9hk6e"}))]
    pub request_headers: Value,
    /// The request's body, the same on every attempt; null once the event's data is no longer kept.
    #[schema(required, example = "{\"type\":\"license.created\",\"data\":{}}")]
    pub request_body: Option<String>,
    /// The receiver's status code; null without an answer.
    #[schema(required, example = 200)]
    pub status_code: Option<u16>,
    /// The answer's headers.
    #[schema(required, value_type = Option<Object>, example = json!({"content-type": "text/plain"}))]
    pub response_headers: Option<Value>,
    /// The first 16 KiB of the answer's body.
    #[schema(required, example = "ok")]
    pub response_body: Option<String>,
    /// What went wrong.
    #[schema(required, example = json!(null))]
    pub error: Option<String>,
    /// When the next attempt was to follow.
    #[schema(required, example = json!(null))]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Why there was a next attempt, or why none.
    #[schema(required, example = json!(null))]
    pub retry_reason: Option<String>,
    /// Whether another worker had settled this attempt before; it changed nothing then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub is_late: bool,
}

/// Why an attempt was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trigger)]
#[serde(rename_all = "snake_case")]
pub enum TriggerBody {
    /// The event arrived.
    Event,
    /// An earlier attempt failed.
    Retry,
    /// A person asked for this delivery again.
    Manual,
    /// A person asked for this event again.
    Replay,
    /// A test send.
    Test,
}

/// What an attempt gave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Outcome)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeBody {
    /// The receiver answered as the profile wants.
    Succeeded,
    /// The receiver answered with another status.
    HttpError,
    /// The deadline passed before the answer was there.
    Timeout,
    /// No connection, or it broke before an answer.
    Unreachable,
    /// The TLS handshake failed.
    TlsError,
    /// The address is one that must not be reached.
    Blocked,
    /// The answer was not HTTP, or broke a limit.
    ProtocolError,
}

impl From<signpost_store::Delivery> for DeliveryBody {
    fn from(delivery: signpost_store::Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event_id.to_string(),
            event_type: delivery.event_type.to_string(),
            endpoint_id: delivery.endpoint_id.to_string(),
            status: delivery.status.as_str(),
            status_reason: delivery.status_reason,
            attempt_count: delivery.attempt_count,
            last_status_code: delivery.last_status_code,
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_attempt_at,
            finished_at: delivery.finished_at,
            profile: delivery.profile,
        }
    }
}

impl AttemptBody {
    /// An attempt with the body that its delivery sends.
    pub fn new(attempt: signpost_store::Attempt, request_body: Option<String>) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            number: attempt.number,
            trigger: attempt.trigger.as_str(),
            outcome: attempt.outcome.as_str(),
            requested_at: attempt.requested_at,
            responded_at: attempt.responded_at,
            duration_ms: attempt.duration_ms,
            request_headers: attempt.request_headers,
            request_body,
            status_code: attempt.status_code,
            response_headers: attempt.response_headers,
            response_body: attempt.response_body.map(text),
            error: attempt.error,
            next_attempt_at: attempt.next_attempt_at,
            retry_reason: attempt.retry_reason,
            is_late: attempt.is_late,
        }
    }
}
