//! Consuming from a queue, whatever happens to the broker.
//!
//! A [`Consumer`] gives messages and survives everything: lost connections and channels, a deleted
//! queue (which is declared again), a cancelled consumer, one that the broker has forgotten. What
//! was unsettled when a channel ended is handed out again by the broker, marked as redelivered;
//! late acks for it do nothing.
//!
//! To stop: cancel the token. [`Consumer::recv_many`] then gives `None`, and what was not taken
//! goes back to the queue at once. Finish and settle what was taken, and call
//! [`Consumer::close`], which sends the last acks and closes the channel.

mod acks;
mod incoming;
mod session;
mod status;
mod streams;
mod watch;
mod window;

pub use incoming::{Ack, Incoming};
pub use status::{ConsumerStatus, ConsumerView};

use std::{sync::Arc, time::Duration};

use signpost_runtime::Lifecycle;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{link::Link, queues::Queues};
use session::Supervisor;

/// Longest wait for the last acks and the channel's close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// A batch ends with the message that brings it to so much: whoever works on a batch has it in
/// memory several times, and its database connection keeps a buffer of that size.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// What to consume.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// The queue.
    pub queue: &'static str,
    /// Most messages that may be unsettled at once; fewer while they are large.
    pub prefetch: u16,
}

/// A stream of messages from one queue.
#[derive(Debug)]
pub struct Consumer {
    messages: mpsc::Receiver<Incoming>,
    stop: CancellationToken,
    finish: CancellationToken,
    ended: oneshot::Receiver<()>,
    status: ConsumerStatus,
}

impl Consumer {
    pub(crate) fn start(
        config: ConsumerConfig,
        link: Arc<Link>,
        queues: Arc<Queues>,
        lifecycle: &Lifecycle,
        stop: CancellationToken,
    ) -> Self {
        let capacity = usize::from(config.prefetch.max(1));
        let (sender, messages) = mpsc::channel(capacity);
        let (end, ended) = oneshot::channel();
        let finish = CancellationToken::new();
        let status = ConsumerStatus::new(config.queue);
        let supervisor = Supervisor {
            config,
            link,
            queues,
            messages: sender,
            stop: stop.clone(),
            finish: finish.clone(),
            status: status.clone(),
            lifecycle: lifecycle.clone(),
        };
        lifecycle.spawn("broker consumer", async move {
            supervisor.run().await;
            // Nobody waits when the consumer was dropped.
            let _unheard = end.send(());
        });
        Self {
            messages,
            stop,
            finish,
            ended,
            status,
        }
    }

    /// Waits for a message and gives what has arrived, up to `max` messages or about 1 MiB, without
    /// waiting for more. `None` once the consumer is stopped.
    ///
    /// Cancel-safe: nothing is taken unless it is given.
    pub async fn recv_many(&mut self, max: usize) -> Option<Vec<Incoming>> {
        loop {
            let first = tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    self.hand_back();
                    return None;
                }
                first = self.messages.recv() => first?,
            };
            let (mut bytes, mut batch) = (first.body.len(), vec![first]);
            while batch.len() < max
                && bytes < MAX_BATCH_BYTES
                && let Ok(next) = self.messages.try_recv()
            {
                bytes += next.body.len();
                batch.push(next);
            }
            // The channel of some may have ended since they arrived: they come again.
            batch.retain(|incoming| incoming.ack.is_live());
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Waits for one message; `None` once the consumer is stopped.
    pub async fn recv(&mut self) -> Option<Incoming> {
        self.recv_many(1).await?.pop()
    }

    /// How it is; the handle stays valid when the consumer has moved elsewhere.
    pub fn status(&self) -> ConsumerStatus {
        self.status.clone()
    }

    /// Stops it, sends the acks that have been given, and closes the channel. Unsettled messages go
    /// back to the queue.
    pub async fn close(mut self) {
        self.stop.cancel();
        self.hand_back();
        self.finish.cancel();
        if timeout(CLOSE_PATIENCE, &mut self.ended).await.is_err() {
            tracing::warn!("a consumer did not close in time");
        }
    }

    /// Gives what was not taken back to the queue.
    fn hand_back(&mut self) {
        self.messages.close();
        while let Ok(incoming) = self.messages.try_recv() {
            incoming.ack.requeue();
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.cancel();
        self.finish.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Properties;

    #[tokio::test]
    async fn a_batch_of_large_messages_is_a_small_one() {
        let (sender, messages) = mpsc::channel(10);
        let (settlements, _settled) = mpsc::unbounded_channel();
        let mut consumer = Consumer {
            messages,
            stop: CancellationToken::new(),
            finish: CancellationToken::new(),
            ended: oneshot::channel().1,
            status: ConsumerStatus::new("q"),
        };
        for kilobytes in [600, 600, 600, 1, 2_000, 1, 1] {
            let body = vec![b'x'; kilobytes * 1024];
            let ack = Ack::new(1, settlements.clone());
            let message = Incoming {
                ack,
                ..Incoming::detached("k", Properties::default(), body)
            };
            sender.send(message).await.unwrap();
        }
        let mut counts = Vec::new();
        for _ in 0..3 {
            counts.push(consumer.recv_many(20).await.unwrap().len());
        }
        assert_eq!(counts, [2, 3, 2]);
    }
}
