//! Looking into the queue of rejected messages, and taking single ones out.
//!
//! A queue gives its messages from the front only, so a look takes a number of them, reads them
//! and gives them back. Meanwhile, and for a moment after, nobody else sees them; looks of one
//! process wait for one another. For people, not for loops.

use std::{sync::Arc, time::Duration};

use lapin::{
    Channel,
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions},
};
use tokio::{sync::Mutex, time::timeout};

use crate::{
    consumer::{Ack, Incoming},
    link::Link,
    message::RejectedMessage,
    publisher::{PublishError, Publisher},
    queues::QueueError,
    topology::REJECTED,
};

/// Longest time for one look.
const PATIENCE: Duration = Duration::from_secs(10);
/// How far a look for one message goes.
const MAX_SEARCH: usize = 10_000;
/// Most bytes of bodies that one look gives.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Why a rejected message could not be dealt with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RejectedError {
    /// The broker did not answer.
    #[error(transparent)]
    Broker(#[from] QueueError),
    /// It could not be published again; it stays where it is.
    #[error("the message could not be published again")]
    Publish(#[source] PublishError),
}

/// The queue of rejected messages.
#[derive(Debug, Clone)]
pub struct RejectedQueue {
    link: Arc<Link>,
    publisher: Publisher,
    turn: Arc<Mutex<()>>,
}

impl RejectedQueue {
    pub(crate) fn new(link: Arc<Link>, publisher: Publisher) -> Self {
        Self {
            link,
            publisher,
            turn: Arc::default(),
        }
    }

    /// The first messages, oldest first: at most `limit`, and at most 16 MiB of them.
    ///
    /// # Errors
    /// The broker did not answer.
    pub async fn list(&self, limit: usize) -> Result<Vec<RejectedMessage>, RejectedError> {
        self.in_turn(async {
            let look = Look::begin(&self.link).await?;
            let mut found = Vec::new();
            let mut bytes = 0;
            while found.len() < limit.min(MAX_SEARCH) && bytes < MAX_BYTES {
                let Some((_tag, message)) = look.next().await? else {
                    break;
                };
                bytes += message.body.len();
                found.push(message);
            }
            look.end().await?;
            // The queue's order is that of the last look, more or less.
            found.sort_by_key(|message: &RejectedMessage| message.rejected_at);
            Ok(found)
        })
        .await
    }

    /// Publishes a message again as it was first, and takes it out once that is confirmed. `false`
    /// when there is no such message.
    ///
    /// # Errors
    /// It is still there.
    pub async fn requeue(&self, id: &str) -> Result<bool, RejectedError> {
        self.take_out(id, true).await
    }

    /// Deletes a message. `false` when there is no such message.
    ///
    /// # Errors
    /// It is still there.
    pub async fn delete(&self, id: &str) -> Result<bool, RejectedError> {
        self.take_out(id, false).await
    }

    /// Deletes all messages that `is_unwanted` says so of, and gives their number.
    ///
    /// # Errors
    /// The broker did not answer; some may be deleted.
    pub async fn delete_where(
        &self,
        is_unwanted: impl Fn(&RejectedMessage) -> bool,
    ) -> Result<usize, RejectedError> {
        self.in_turn(async {
            let look = Look::begin(&self.link).await?;
            let mut deleted = 0;
            for _ in 0..MAX_SEARCH {
                let Some((tag, message)) = look.next().await? else {
                    break;
                };
                if is_unwanted(&message) {
                    look.ack(tag).await?;
                    deleted += 1;
                }
            }
            look.end().await?;
            Ok(deleted)
        })
        .await
    }

    async fn take_out(&self, id: &str, publish: bool) -> Result<bool, RejectedError> {
        self.in_turn(async {
            let look = Look::begin(&self.link).await?;
            let mut is_found = false;
            for _ in 0..MAX_SEARCH {
                let Some((tag, message)) = look.next().await? else {
                    break;
                };
                if message.id != id {
                    continue;
                }
                if publish {
                    let published = self.publisher.publish_confirmed(message.unwrap_original());
                    published.await.map_err(RejectedError::Publish)?;
                }
                look.ack(tag).await?;
                is_found = true;
                break;
            }
            look.end().await?;
            Ok(is_found)
        })
        .await
    }

    /// One look at a time, and none for ever. A look that is dropped half-way closes its channel,
    /// which gives its messages back, too.
    async fn in_turn<T>(
        &self,
        look: impl Future<Output = Result<T, RejectedError>>,
    ) -> Result<T, RejectedError> {
        let _turn = self.turn.lock().await;
        match timeout(PATIENCE, look).await {
            Ok(result) => result,
            Err(_elapsed) => Err(QueueError::new("no answer in time").into()),
        }
    }
}

/// A channel that holds the messages that were looked at.
struct Look {
    channel: Channel,
}

impl Look {
    async fn begin(link: &Arc<Link>) -> Result<Self, QueueError> {
        let channel = link.channel().await.map_err(QueueError::new)?;
        Ok(Self { channel })
    }

    async fn next(&self) -> Result<Option<(u64, RejectedMessage)>, QueueError> {
        let options = BasicGetOptions { no_ack: false };
        let got = self.channel.basic_get(REJECTED.into(), options).await;
        Ok(got.map_err(QueueError::new)?.map(|message| {
            let tag = message.delivery.delivery_tag;
            let incoming = Incoming::new(message.delivery, Ack::detached());
            (tag, RejectedMessage::read(incoming))
        }))
    }

    async fn ack(&self, tag: u64) -> Result<(), QueueError> {
        let acked = self.channel.basic_ack(tag, BasicAckOptions::default());
        acked.await.map_err(QueueError::new)
    }

    /// Gives back what was not acked.
    async fn end(self) -> Result<(), QueueError> {
        // Tag 0 means all that this channel has not settled.
        let back = BasicNackOptions {
            multiple: true,
            requeue: true,
        };
        let given_back = self.channel.basic_nack(0, back).await;
        given_back.map_err(QueueError::new)?;
        // The answer shows that the broker has come past the acks.
        let closed = self.channel.close(200, "OK".into()).await;
        closed.map_err(QueueError::new)
    }
}
