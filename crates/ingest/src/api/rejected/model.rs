//! Rejected messages as they look outside.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use signpost_broker::{RejectedError, RejectedMessage};
use utoipa::ToSchema;

use crate::error::ApiError;

/// Most bytes of a body that are shown.
const MAX_SHOWN: usize = 64 * 1024;

/// A message that could not be read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RejectedMessage)]
pub struct RejectedBody {
    /// Names it.
    #[schema(example = "rej_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub id: String,
    /// Why it was rejected, for programs.
    #[schema(example = "bad_json")]
    pub reason: String,
    /// Why it was rejected, for people.
    #[schema(example = "the data is not valid JSON: expected value at line 1 column 1")]
    pub detail: String,
    /// When it was rejected, where known.
    #[schema(required)]
    pub rejected_at: Option<DateTime<Utc>>,
    /// The routing key it was published with.
    #[schema(example = "acme.license.created")]
    pub routing_key: String,
    /// The exchange it was published to, where known.
    #[schema(required, example = "signpost.events")]
    pub exchange: Option<String>,
    /// The queue it came from, where known.
    #[schema(required, example = "signpost.events")]
    pub source_queue: Option<String>,
    /// The publisher's id.
    #[schema(required)]
    pub message_id: Option<String>,
    /// The body's media type.
    #[schema(required, example = "application/json")]
    pub content_type: Option<String>,
    /// Bytes of the body.
    #[schema(example = 7)]
    pub size: usize,
}

/// A message that could not be read, whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectedStory {
    /// What it is.
    #[serde(flatten)]
    pub message: RejectedBody,
    /// Its headers.
    #[schema(value_type = Object, example = json!({}))]
    pub headers: Value,
    /// Its body, at most 64 KiB of it; bytes that are no text are shown with replacement
    /// characters.
    #[schema(example = "{oops")]
    pub body: String,
}

impl RejectedBody {
    /// What a list shows.
    pub fn new(message: &RejectedMessage) -> Self {
        Self {
            id: message.id.clone(),
            reason: message.reason.clone(),
            detail: message.error.clone(),
            rejected_at: message.rejected_at,
            routing_key: message.routing_key.clone(),
            exchange: message.exchange.clone(),
            source_queue: message.source_queue.clone(),
            message_id: message.message_id.clone(),
            content_type: message.content_type.clone(),
            size: message.body.len(),
        }
    }
}

impl RejectedStory {
    /// All of it.
    pub fn new(message: RejectedMessage) -> Self {
        let shown = &message.body[..message.body.len().min(MAX_SHOWN)];
        Self {
            message: RejectedBody::new(&message),
            body: String::from_utf8_lossy(shown).into_owned(),
            headers: message.headers,
        }
    }
}

/// What a failure of the broker means here.
pub fn to_api_error(error: RejectedError) -> ApiError {
    match error {
        RejectedError::Publish(error) => error.into(),
        RejectedError::Broker(error) => {
            tracing::warn!(%error, "cannot look into the queue of rejected messages");
            ApiError::broker_unavailable("The message broker does not answer.")
        }
    }
}
