//! One publishing channel and the task that owns it.
//!
//! Nobody else publishes on it: on a channel that tasks share, lapin gives confirms to the wrong
//! publish. Messages go out one behind the other without waiting for the confirm of the one
//! before. When the channel ends, everybody who waits hears so and decides what to do; nothing is
//! published again by itself.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use signpost_runtime::sabotaged;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    PublishError,
    confirms::Confirms,
    ledger::{Answer, Confirmed, Ledger, Route},
};
use crate::{
    link::{Link, LinkState},
    metrics::BrokerMetrics,
};

/// A confirm that takes longer than this means that the connection is of no use.
const HOPELESS: Duration = Duration::from_secs(30);
/// A channel that has only heard refusals for so long is given up for a new one: RabbitMQ 3.10
/// refuses for ever on a channel that first published while the queue had no leader.
const REFUSED_FOR: Duration = Duration::from_secs(3);
/// How often the channel's state is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest wait for the last confirms when the lane is closed.
const LAST_CONFIRMS: Duration = Duration::from_secs(5);
/// Most messages taken from the queue at once.
const BATCH: usize = 64;

/// A message on its way to the broker.
pub(super) struct Job {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
    pub(super) waiter: Waiter,
}

/// Who waits for the confirm. The permit comes back when the message is settled, not when the
/// waiter has lost patience: until then it takes up memory.
pub(super) struct Waiter {
    pub(super) answer: oneshot::Sender<Result<(), PublishError>>,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) started: Instant,
}

impl Waiter {
    fn tell(self, result: Result<(), PublishError>) {
        drop(self.permit);
        // Whoever asked may have gone.
        let _unheard = self.answer.send(result);
    }
}

/// Why a session with one channel ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The lane is closed and everything is confirmed.
    Closed,
    /// The channel is gone; a new one is needed.
    ChannelLost,
    /// Nothing has been confirmed for long; a new connection is needed.
    Hopeless,
}

pub(super) struct Lane {
    pub(super) link: Arc<Link>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) closing: CancellationToken,
    pub(super) metrics: Option<BrokerMetrics>,
}

impl Lane {
    /// Publishes until the lane is closed.
    pub(super) async fn run(mut self) {
        loop {
            let Some(channel) = self.open().await else {
                break;
            };
            match self.session(channel).await {
                End::Closed => break,
                End::ChannelLost => {}
                End::Hopeless => {
                    tracing::warn!("no confirm for {HOPELESS:?}: connecting anew");
                    self.link.discard().await;
                }
            }
        }
        self.jobs.close();
        while let Ok(job) = self.jobs.try_recv() {
            job.waiter.tell(Err(PublishError::Unavailable));
        }
    }

    /// A channel in confirm mode; `None` once the lane is closed.
    async fn open(&mut self) -> Option<Channel> {
        loop {
            let opened = async {
                // The link has logged its own error.
                let channel = self.link.channel().await.ok()?;
                if sabotaged("publish-without-confirm") {
                    return Some(channel);
                }
                let selected = channel.confirm_select(ConfirmSelectOptions::default());
                match timeout(HOPELESS, selected).await {
                    Ok(Ok(())) => Some(channel),
                    _ => None,
                }
            };
            // Cancel-safe: a channel that is half open is closed by its drop.
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return None,
                opened = opened => if opened.is_some() {
                    return opened;
                },
            }
        }
    }

    async fn session(&mut self, channel: Channel) -> End {
        let mut open = Open::new();
        let mut ledger = Ledger::new();
        let mut batch = Vec::with_capacity(BATCH);
        let mut looks = interval(LOOK_EVERY);
        let mut refused_since = None;
        let end = loop {
            // Cancel-safe: `recv_many` and `poll_done` take nothing unless they give it here.
            tokio::select! {
                done = poll_fn(|context| open.poll_done(context)) => {
                    if done.iter().all(|(_, result)| matches!(result, Ok(Confirmation::Nack(_)))) {
                        refused_since.get_or_insert_with(Instant::now);
                    } else {
                        refused_since = None;
                    }
                    let is_lost = self.settle(&mut ledger, done);
                    if is_lost {
                        break End::ChannelLost;
                    }
                }
                count = self.jobs.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break End::Closed;
                    }
                    for job in batch.drain(..) {
                        // Its waiter has given up before it was sent: never send it.
                        if !job.waiter.answer.is_closed() {
                            start(&channel, &mut ledger, &mut open, job);
                        }
                    }
                }
                _ = looks.tick() => {
                    if !channel.status().connected() {
                        break End::ChannelLost;
                    }
                    if refused_since.is_some_and(|since| since.elapsed() > REFUSED_FOR) {
                        break End::ChannelLost;
                    }
                    if self.is_hopeless(&ledger) {
                        break End::Hopeless;
                    }
                }
                () = self.closing.cancelled() => break End::Closed,
            }
        };
        if end == End::Closed {
            self.finish(&channel, &mut ledger, &mut open).await;
        }
        for waiter in ledger.give_up() {
            waiter.tell(Err(PublishError::Unavailable));
        }
        end
    }

    /// Tells the waiters what is certain. Gives whether the channel is gone.
    fn settle(
        &self,
        ledger: &mut Ledger<Waiter>,
        done: Vec<(u64, lapin::Result<Confirmation>)>,
    ) -> bool {
        let mut is_lost = false;
        let confirmed = done.into_iter().map(|(number, result)| {
            let (answer, returned) = match result {
                Ok(Confirmation::Ack(returned)) => (Answer::Acked, returned),
                Ok(Confirmation::Nack(returned)) => (Answer::Nacked, returned),
                Ok(Confirmation::NotRequested) if sabotaged("publish-without-confirm") => {
                    (Answer::Acked, None)
                }
                Ok(Confirmation::NotRequested) | Err(_) => (Answer::Lost, None),
            };
            is_lost |= answer == Answer::Lost;
            let returned = returned.map(|message| Route {
                exchange: message.exchange.to_string(),
                routing_key: message.routing_key.to_string(),
                message_id: message
                    .properties
                    .message_id()
                    .as_ref()
                    .map(ShortString::to_string),
            });
            Confirmed {
                number,
                answer,
                returned,
            }
        });
        let settled = ledger.settle(confirmed.collect());
        let mut is_unroutable = false;
        for (waiter, result) in settled {
            if let Some(metrics) = &self.metrics {
                let seconds = waiter.started.elapsed().as_secs_f64();
                metrics.publish_confirm_seconds.observe(seconds);
            }
            is_unroutable |= result == Err(PublishError::Unroutable);
            waiter.tell(result);
        }
        if is_unroutable {
            self.repair();
        }
        is_lost
    }

    /// A queue is missing: have it declared, beside the publishing.
    fn repair(&self) {
        let link = Arc::clone(&self.link);
        self.link.lifecycle().spawn("broker repair", async move {
            link.repair().await;
        });
    }

    fn is_hopeless(&self, ledger: &Ledger<Waiter>) -> bool {
        let oldest = ledger.oldest().map(|waiter| waiter.started.elapsed());
        let is_blocked = matches!(*self.link.state().borrow(), LinkState::Blocked { .. });
        !is_blocked && oldest.is_some_and(|age| age > HOPELESS)
    }

    /// Publishes what has been accepted and waits for the last confirms.
    async fn finish(&mut self, channel: &Channel, ledger: &mut Ledger<Waiter>, open: &mut Open) {
        self.jobs.close();
        let last_confirms = async {
            while let Some(job) = self.jobs.recv().await {
                start(channel, ledger, open, job);
            }
            while !ledger.is_empty() {
                let done = poll_fn(|context| open.poll_done(context)).await;
                if self.settle(ledger, done) {
                    return;
                }
            }
            if let Err(error) = channel.close(200, "OK".into()).await {
                tracing::debug!(%error, "the publishing channel was not closed properly");
            }
        };
        if timeout(LAST_CONFIRMS, last_confirms).await.is_err() {
            tracing::warn!("messages are left without a confirm");
        }
    }
}

type Open = Confirms<BoxFuture<'static, lapin::Result<Confirmation>>>;

/// Publishes one message. Its number, its delivery tag and its frames come in the same order, as
/// long as nobody else publishes on the channel.
fn start(channel: &Channel, ledger: &mut Ledger<Waiter>, open: &mut Open, job: Job) {
    let route = Route {
        exchange: job.exchange.to_string(),
        routing_key: job.routing_key.to_string(),
        message_id: job
            .properties
            .message_id()
            .as_ref()
            .map(ShortString::to_string),
    };
    let number = ledger.add(route, job.waiter);
    let channel = channel.clone();
    let publish = async move {
        let options = BasicPublishOptions {
            mandatory: !sabotaged("no-mandatory"),
            immediate: false,
        };
        let body = job.body;
        let confirm = channel
            .basic_publish(
                job.exchange,
                job.routing_key,
                options,
                &body,
                job.properties,
            )
            .await?;
        drop(body); // Written: it need not stay until the confirm.
        confirm.await
    };
    open.start(number, publish.boxed());
}
