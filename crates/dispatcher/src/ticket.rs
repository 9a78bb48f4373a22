//! What a delivery acknowledges when it is done: its own message, or its share of an event.
//!
//! An event is acked when each of its deliveries is either settled or published. A share that is
//! dropped without [`Ticket::done`] leaves the message unacked, and the broker brings it back: the
//! safe default.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use signpost_broker::{Ack, Incoming};

/// In a sabotaged process, the time for an ack to leave before the process dies.
const ACK_LEAVES: Duration = Duration::from_millis(200);

/// The right to ack, once what it stands for is durable.
#[derive(Debug)]
pub enum Ticket {
    /// A message of its own.
    Message(Ack),
    /// One of several shares of an event's message.
    Share(Arc<Shares>),
}

/// An event's message, divided among its deliveries.
#[derive(Debug)]
pub struct Shares {
    open: AtomicUsize,
    /// Taken by whoever finishes last.
    ack: Mutex<Option<Ack>>,
}

impl Ticket {
    /// Divides an event's message into `count` shares. With none it is acked at once.
    pub fn divide(ack: Ack, count: usize) -> Vec<Self> {
        if count == 0 {
            ack.ack();
            return Vec::new();
        }
        let shares = Arc::new(Shares {
            open: AtomicUsize::new(count),
            ack: Mutex::new(Some(ack)),
        });
        (0..count)
            .map(|_| Self::Share(Arc::clone(&shares)))
            .collect()
    }

    /// Breaks the promise of [`Ticket::done`]: only a sabotage does so.
    pub(crate) async fn done_too_early(&mut self) {
        mem::replace(self, Self::Message(Ack::detached())).done();
        tokio::time::sleep(ACK_LEAVES).await;
    }

    /// Says that the ledger or the broker has everything that must not be lost.
    pub fn done(self) {
        match self {
            Self::Message(ack) => ack.ack(),
            Self::Share(shares) => {
                let is_last = shares.open.fetch_sub(1, Ordering::AcqRel) == 1;
                let ack = if is_last {
                    shares
                        .ack
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take()
                } else {
                    None
                };
                if let Some(ack) = ack {
                    ack.ack();
                }
            }
        }
    }
}

/// Acks messages that nothing has been done for: only a sabotage does so.
pub(crate) async fn ack_too_early(messages: &mut [Incoming]) {
    for message in messages {
        mem::replace(&mut message.ack, Ack::detached()).ack();
    }
    tokio::time::sleep(ACK_LEAVES).await;
}
