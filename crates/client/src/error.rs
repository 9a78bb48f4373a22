//! Why an event could not be made or published.

use signpost_domain::{IdError, event::DataError};

/// Why something is not an event. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The tenant, the event type or the event's id breaks its rule, which the text names.
    #[error(transparent)]
    Name(#[from] IdError),
    /// The data cannot be written as JSON.
    #[error("the data cannot be written as JSON")]
    Serialize(#[source] serde_json::Error),
    /// The data is not JSON, or nested too deep.
    #[error("the data is {0}")]
    Data(DataError),
    /// Not a trace context (<https://www.w3.org/TR/trace-context/#traceparent-header>).
    #[error("a traceparent is 55 characters of 0-9, a-f and `-`")]
    Traceparent,
}

/// Why an event may not have been published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It is not an event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The broker did not confirm it. It may have the event all the same: send the same
    /// [`Event`](crate::Event) again.
    #[error(transparent)]
    Broker(#[from] signpost_broker::PublishError),
}

impl PublishError {
    /// Whether sending the same event again later may help.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Event(_) => false,
            Self::Broker(error) => error.is_transient(),
        }
    }
}
