//! What one channel consumes: a small consumer that is always there, and another one for the rest
//! of the window while that is larger. RabbitMQ does not change the prefetch of a consumer that
//! stands. What is on its way to one that is cancelled, the broker takes back, and hands out again
//! as redelivered (<https://github.com/rabbitmq/rabbitmq-server/issues/3729>).

use std::collections::VecDeque;

use futures::{FutureExt, StreamExt};
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use signpost_runtime::error_chain;
use tokio::time::timeout;

use super::{ConsumerConfig, session::PATIENCE, window::Window};

const TAG: &str = "signpost";

/// The consumers of a channel.
pub(super) struct Streams {
    channel: Channel,
    queue: &'static str,
    window: Window,
    least: lapin::Consumer,
    more: Option<More>,
    /// What had come for one that has been cancelled since.
    left: VecDeque<Delivery>,
    /// Messages that came by the one that comes and goes.
    delivered_by_more: u64,
    /// Consumers that have come and gone.
    changes: u64,
}

/// The one that comes and goes.
struct More {
    /// A new one each time: a quorum queue takes a tag that it knows for the old consumer's, which
    /// may have messages that are not settled yet.
    tag: String,
    deliveries: lapin::Consumer,
    size: u16,
}

impl Streams {
    /// Begins to consume.
    ///
    /// # Errors
    /// The broker refuses or does not answer, in words.
    pub(super) async fn start(channel: Channel, config: &ConsumerConfig) -> Result<Self, String> {
        let window = Window::new(config.prefetch);
        let least = consume(&channel, config.queue, TAG, window.least()).await?;
        Ok(Self {
            channel,
            queue: config.queue,
            window,
            least,
            more: None,
            left: VecDeque::new(),
            delivered_by_more: 0,
            changes: 0,
        })
    }

    /// The channel of all of them.
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Messages that the broker may leave unsettled with this channel.
    pub(super) fn size(&self) -> usize {
        usize::from(self.window.least()) + self.more()
    }

    /// Those of them that the consumer may hold that comes and goes.
    pub(super) fn more(&self) -> usize {
        self.more.as_ref().map_or(0, |more| usize::from(more.size))
    }

    /// Messages that came by it.
    pub(super) const fn delivered_by_more(&self) -> u64 {
        self.delivered_by_more
    }

    /// The next message; `None` when the broker has cancelled a consumer. Cancel-safe.
    ///
    /// # Errors
    /// The channel is gone, in words.
    pub(super) async fn next(&mut self) -> Result<Option<Delivery>, String> {
        if let Some(delivery) = self.left.pop_front() {
            return Ok(Some(delivery));
        }
        let item = match &mut self.more {
            None => self.least.next().await,
            // The streams keep what they have not given.
            Some(more) => tokio::select! {
                item = self.least.next() => item,
                item = more.deliveries.next() => {
                    self.delivered_by_more += 1;
                    item
                }
            },
        };
        item.transpose()
            .map_err(|error| error_chain(&error).to_string())
    }

    /// Takes the size of a message into account.
    ///
    /// # Errors
    /// The broker refuses or does not answer, in words.
    pub(super) async fn adjust(&mut self, bytes: usize) -> Result<(), String> {
        self.window.note(bytes);
        let size = self.window.more();
        if size == self.more.as_ref().map_or(0, |more| more.size) {
            return Ok(());
        }
        if let Some(mut more) = self.more.take() {
            cancel(&self.channel, &more.tag).await?;
            self.left.extend(drain(&mut more.deliveries));
        }
        if size > 0 {
            self.changes += 1;
            let tag = format!("{TAG}-{}", self.changes);
            let deliveries = consume(&self.channel, self.queue, &tag, size).await?;
            self.more = Some(More {
                tag,
                deliveries,
                size,
            });
        }
        tracing::debug!(queue = self.queue, size, "the consumer's window changes");
        Ok(())
    }

    /// Stops the broker from sending more, and gives what has been sent.
    pub(super) async fn stop(&mut self) -> Vec<Delivery> {
        let mut sent = Vec::from(std::mem::take(&mut self.left));
        if cancel(&self.channel, TAG).await.is_ok() {
            sent.extend(drain(&mut self.least));
        }
        if let Some(more) = &mut self.more
            && cancel(&self.channel, &more.tag).await.is_ok()
        {
            sent.extend(drain(&mut more.deliveries));
        }
        sent
    }
}

async fn consume(
    channel: &Channel,
    queue: &'static str,
    tag: &str,
    prefetch: u16,
) -> Result<lapin::Consumer, String> {
    in_time(async {
        // Per consumer: quorum queues refuse a limit per channel.
        channel
            .basic_qos(prefetch, BasicQosOptions { global: false })
            .await?;
        let options = BasicConsumeOptions::default();
        channel
            .basic_consume(queue.into(), tag.into(), options, FieldTable::default())
            .await
    })
    .await
}

async fn cancel(channel: &Channel, tag: &str) -> Result<(), String> {
    in_time(channel.basic_cancel(tag.into(), BasicCancelOptions::default())).await
}

async fn in_time<T>(answer: impl Future<Output = lapin::Result<T>>) -> Result<T, String> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error_chain(&error).to_string()),
        Err(_elapsed) => Err("no answer in time".to_owned()),
    }
}

/// What has arrived.
fn drain(deliveries: &mut lapin::Consumer) -> Vec<Delivery> {
    let mut sent = Vec::new();
    while let Some(Some(Ok(delivery))) = deliveries.next().now_or_never() {
        sent.push(delivery);
    }
    sent
}
