//! One consumer's life: a channel, then another one, until it is stopped.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions},
};
use signpost_runtime::{Lifecycle, error_chain};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    ConsumerConfig, ConsumerStatus,
    acks::{AckBook, Frame, Settlement},
    incoming::{Ack, Incoming},
    streams::Streams,
    watch::{self, Finding, Look, Watch},
};
use crate::{backoff::Backoff, link::Link, queues::Queues};

/// Longest wait for one answer of the broker.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often the channel's state is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Most acks that are grouped at once.
const ACK_BATCH: usize = 1024;

/// Why a session with one channel ended.
enum End {
    /// Stopped and finished.
    Finished,
    /// The channel or the connection is gone.
    Lost(String),
    /// The broker cancelled the consumer: its queue was deleted or moved.
    Cancelled,
    /// The channel and the connection seem to live, but the consumer does not.
    Dead(Finding),
}

pub(super) struct Supervisor {
    pub(super) config: ConsumerConfig,
    pub(super) link: Arc<Link>,
    pub(super) queues: Arc<Queues>,
    pub(super) messages: mpsc::Sender<Incoming>,
    pub(super) stop: CancellationToken,
    pub(super) finish: CancellationToken,
    pub(super) status: ConsumerStatus,
    pub(super) lifecycle: Lifecycle,
}

impl Supervisor {
    pub(super) async fn run(self) {
        let mut backoff = Backoff::default();
        loop {
            let started = Instant::now();
            // Cancel-safe to drop before the consumer is set up: nothing was received.
            let session = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                set_up = self.set_up() => set_up,
            };
            let end = match session {
                Ok(streams) => self.session(streams).await,
                Err(reason) => End::Lost(reason),
            };
            match end {
                End::Finished => return,
                End::Lost(reason) => self.went_down(&reason),
                End::Cancelled => self.went_down("the broker cancelled the consumer"),
                // Dropping the channel has closed it: what was unsettled comes again.
                End::Dead(Finding::Forgotten) => {
                    self.went_down("the broker does not know the consumer any more");
                }
                End::Dead(Finding::Stalled) => {
                    self.went_down("the queue holds messages, but none comes");
                    self.link.discard().await;
                }
            }
            // Perhaps the queue is missing.
            self.link.repair().await;
            if started.elapsed() > PATIENCE {
                backoff.succeeded();
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(backoff.wait(rand::random())) => backoff.failed(),
            }
        }
    }

    fn went_down(&self, reason: &str) {
        tracing::warn!(
            queue = self.config.queue,
            reason,
            "consumer lost, building it again"
        );
        self.status.set_down(reason);
    }

    async fn set_up(&self) -> Result<Streams, String> {
        let channel = self.link.channel().await;
        let channel = channel.map_err(|error| error_chain(&error).to_string())?;
        Streams::start(channel, &self.config).await
    }

    async fn session(&self, mut streams: Streams) -> End {
        let channel = streams.channel().clone();
        let (settlements, settled) = mpsc::unbounded_channel();
        let lost = CancellationToken::new();
        let acker = Acker {
            channel: channel.clone(),
            settled,
            finish: self.finish.clone(),
            lost: lost.clone(),
            status: self.status.clone(),
        };
        let _lost_at_end = lost.drop_guard();
        let (ended, acker_end) = tokio::sync::oneshot::channel();
        self.lifecycle.spawn("broker acks", async move {
            acker.run().await;
            let _unheard = ended.send(());
        });
        self.status.set_alive(&streams);
        // Cancel-safe: a message that is not passed on stays unsettled, and comes again.
        let end = tokio::select! {
            biased;
            end = self.forward(&mut streams, &settlements) => end,
            finding = self.watch() => End::Dead(finding),
        };
        if matches!(end, End::Finished) {
            for delivery in streams.stop().await {
                self.status.note_delivery();
                Ack::new(delivery.delivery_tag, settlements.clone()).requeue();
            }
            // The acker ends when the consumer is finished and the last ack is written.
            let _ended = acker_end.await;
            let closed = timeout(PATIENCE, channel.close(200, "OK".into())).await;
            tracing::debug!(queue = self.config.queue, ?closed, "consumer closed");
        }
        end
    }

    /// Passes messages on until something ends it.
    async fn forward(
        &self,
        streams: &mut Streams,
        settlements: &mpsc::UnboundedSender<Settlement>,
    ) -> End {
        let mut looks = interval(LOOK_EVERY);
        loop {
            // Cancel-safe: see `Streams::next`.
            let item = tokio::select! {
                biased;
                () = self.stop.cancelled() => return End::Finished,
                item = streams.next() => item,
                _ = looks.tick() => {
                    if !streams.channel().status().connected() {
                        return End::Lost("channel lost".to_owned());
                    }
                    continue;
                }
            };
            let delivery = match item {
                Ok(Some(delivery)) => delivery,
                Ok(None) => return End::Cancelled,
                Err(reason) => return End::Lost(reason),
            };
            self.status.note_delivery();
            let bytes = delivery.data.len();
            let ack = Ack::new(delivery.delivery_tag, settlements.clone());
            let incoming = Incoming::new(delivery, ack);
            // There is room for a whole prefetch, so this waits only while messages of an earlier
            // channel are still in there; and no longer than until the consumer is stopped, which
            // closes the receiver.
            let sent = self.messages.send(incoming).await;
            if let Err(refused) = sent {
                refused.0.ack.requeue(); // The consumer was stopped or dropped.
                return End::Finished;
            }
            if let Err(reason) = streams.adjust(bytes).await {
                return End::Lost(reason);
            }
            self.status.note_streams(streams);
        }
    }

    /// Ends when the consumer is dead although its channel lives.
    async fn watch(&self) -> Finding {
        let mut watches = [Watch::default(), Watch::default()];
        loop {
            sleep(watch::LOOK_EVERY).await;
            let depth = self.queues.depth(self.config.queue).await;
            let looks = Look::at(&self.status.view(), depth.ok().flatten());
            let now = Instant::now();
            let findings = std::iter::zip(&mut watches, looks)
                .filter_map(|(watch, look)| watch.look(look, now));
            // The last one: so each of them looks, whatever another has found.
            if let Some(finding) = findings.last() {
                return finding;
            }
        }
    }
}

/// Sends the acks of one channel, grouped.
struct Acker {
    channel: Channel,
    settled: mpsc::UnboundedReceiver<Settlement>,
    /// The consumer is finished: send what is there, and end.
    finish: CancellationToken,
    /// The channel is gone: acks mean nothing any more.
    lost: CancellationToken,
    status: ConsumerStatus,
}

impl Acker {
    /// Runs until the channel is gone, or the consumer is finished and every ack is written.
    async fn run(mut self) {
        let mut book = AckBook::default();
        let mut batch = Vec::with_capacity(ACK_BATCH);
        loop {
            // Cancel-safe: `recv_many` takes nothing unless it gives it. What arrives while
            // frames are written is grouped next.
            let count = tokio::select! {
                biased;
                () = self.lost.cancelled() => return,
                count = self.settled.recv_many(&mut batch, ACK_BATCH) => count,
                () = self.finish.cancelled(), if !self.settled.is_closed() => {
                    self.settled.close(); // Later acks are for the next channel's life.
                    continue;
                }
            };
            if count == 0 {
                return;
            }
            self.status.note_settled(count);
            let frames = book.settle(&batch).into_iter();
            let results = join_all(frames.map(|frame| self.send(frame))).await;
            if results.into_iter().any(|result| result.is_err()) {
                return; // The channel is gone; the broker hands the messages out again.
            }
            batch.clear();
        }
    }

    async fn send(&self, frame: Frame) -> lapin::Result<()> {
        match frame {
            Frame::Ack { tag, multiple } => {
                self.channel
                    .basic_ack(tag, BasicAckOptions { multiple })
                    .await
            }
            Frame::Requeue { tag } => {
                let options = BasicNackOptions {
                    requeue: true,
                    multiple: false,
                };
                self.channel.basic_nack(tag, options).await
            }
        }
    }
}
