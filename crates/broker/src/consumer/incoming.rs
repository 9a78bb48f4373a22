//! A message as it came from a queue, and the handle that settles it.

use std::fmt;

use bytes::Bytes;
use lapin::message::Delivery;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::acks::Settlement;
use crate::message::Properties;

/// A message from a queue.
#[derive(Debug)]
pub struct Incoming {
    /// The content.
    pub body: Bytes,
    /// Content type, message id, headers and so on.
    pub properties: Properties,
    /// The exchange it came through; for a dead-lettered message the last one.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Whether it may have been handed out before, to anybody.
    pub redelivered: bool,
    /// How often a quorum queue has handed it out before, as far as it counts
    /// (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>).
    pub delivery_count: u64,
    /// Settles it. A message whose handle is dropped stays unsettled until the channel ends, and
    /// is then handed out again.
    pub ack: Ack,
}

impl Incoming {
    pub(crate) fn new(delivery: Delivery, ack: Ack) -> Self {
        let properties = Properties::from_lapin(delivery.properties);
        let count = properties.int("x-delivery-count").unwrap_or(0);
        Self {
            body: Bytes::from(delivery.data),
            exchange: delivery.exchange.into(),
            routing_key: delivery.routing_key.into(),
            redelivered: delivery.redelivered,
            delivery_count: u64::try_from(count).unwrap_or(0),
            properties,
            ack,
        }
    }

    /// What tells this message from others, however often it is handed out: SHA-256 over its
    /// routing key, its id and its body.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(&self.routing_key);
        hash.update([0]);
        hash.update(self.properties.message_id().unwrap_or_default());
        hash.update([0]);
        hash.update(&self.body);
        hash.finalize().into()
    }

    /// A message that came from no queue, for tests.
    pub fn detached(routing_key: &str, properties: Properties, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            properties,
            exchange: String::new(),
            routing_key: routing_key.to_owned(),
            redelivered: false,
            delivery_count: 0,
            ack: Ack::detached(),
        }
    }
}

/// Settles one message. Both ways are cheap, do not wait, and do nothing when the channel is gone:
/// the broker hands the message out again then.
pub struct Ack {
    tag: u64,
    settlements: mpsc::UnboundedSender<Settlement>,
}

impl Ack {
    pub(super) fn new(tag: u64, settlements: mpsc::UnboundedSender<Settlement>) -> Self {
        Self { tag, settlements }
    }

    /// A handle without a message.
    pub fn detached() -> Self {
        Self::new(0, mpsc::unbounded_channel().0)
    }

    /// Done: the broker forgets the message.
    pub fn ack(self) {
        self.settle(true);
    }

    /// Not done: back to the queue, and handed out again at once, perhaps to another process.
    pub fn requeue(self) {
        self.settle(false);
    }

    /// Whether the channel that it came by still stands. If not, the broker hands the message out
    /// again, whatever is done with this one.
    pub fn is_live(&self) -> bool {
        !self.settlements.is_closed()
    }

    fn settle(self, done: bool) {
        let settlement = Settlement {
            tag: self.tag,
            done,
        };
        // An error means that the channel is gone.
        let _gone = self.settlements.send(settlement);
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack")
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}
