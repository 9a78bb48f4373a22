//! The messages on Signpost's queues, and how they are written and read.
//!
//! * [`EventMessage`]: what publishers send to `signpost.events` (the public contract).
//! * [`DeliveryMessage`]: an attempt that is due, between dispatchers.
//! * [`RejectedMessage`]: what could not be read, with the reason.
//! * [`ProbeMessage`]: shows that the way through both queues is open.
//!
//! Pure: bytes and properties in, values out. Nothing here may panic on any input. A message that
//! is published anew gets fresh headers; those of the broker (`x-death` above all) are never
//! copied, since RabbitMQ 3.x takes them for a cycle and drops the message.

mod cloud_event;
mod delivery;
mod event;
mod probe;
mod properties;
mod reason;
mod rejected;

pub use delivery::DeliveryMessage;
pub use event::{EventMessage, IncomingEvent};
pub use probe::ProbeMessage;
pub use properties::{Headers, Properties};
pub use reason::{RejectReason, Rejection};
pub use rejected::RejectedMessage;

use bytes::Bytes;

/// A message to publish. It is always persistent and `mandatory`.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// The exchange; empty for the default one, which routes to the queue that the key names.
    pub exchange: String,
    /// The routing key, at most 255 bytes.
    pub routing_key: String,
    /// Content type, message id, headers and so on.
    pub properties: Properties,
    /// The content.
    pub body: Bytes,
}

/// Cuts a text to at most `limit` bytes, between two characters.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
