//! Publishing with confirms.
//!
//! A [`Publisher`] is a cheap handle; behind it, one task per channel ([`lane`]) owns what is in
//! flight. An `Ok` means that a quorum queue has the message. Everything else is an error, told
//! within the configured time, and the caller decides what to do: nothing is ever published again
//! by itself. There is no way to publish without a confirm.

mod confirms;
mod error;
mod lane;
mod ledger;

pub use error::PublishError;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lapin::types::ShortString;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::PublisherConfig,
    link::{Link, LinkState},
    message::Publish,
    metrics::BrokerMetrics,
};
use lane::{Job, Lane, Waiter};

/// Bytes that count as one message more in what may be in flight.
const BYTES_PER_PERMIT: usize = 8 * 1024;
/// Largest body: the default limit of RabbitMQ 4 (`max_message_size`).
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Largest headers: with the other properties they must fit into a frame of 128 KiB, or the broker
/// closes the connection.
const MAX_HEADERS: usize = 100 * 1024;
/// A connection that has been lost for less is waited for; after that, errors come at once.
const SHORT_LOSS: Duration = Duration::from_secs(1);

/// Publishes messages; clones share the channels.
#[derive(Debug, Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lanes: Vec<mpsc::Sender<Job>>,
    turn: AtomicUsize,
    permits: Arc<Semaphore>,
    max_permits: u32,
    confirm_timeout: Duration,
    link: watch::Receiver<LinkState>,
}

impl Publisher {
    pub(crate) fn start(
        config: PublisherConfig,
        link: &Arc<Link>,
        closing: &CancellationToken,
        metrics: Option<&BrokerMetrics>,
    ) -> Self {
        let max_permits = config.max_in_flight.max(1);
        let lanes = (0..config.channels.max(1)).map(|_index| {
            // Permits bound what is in here; the capacity only has to be enough for all.
            let (sender, jobs) = mpsc::channel(max_permits as usize);
            let lane = Lane {
                link: Arc::clone(link),
                jobs,
                closing: closing.clone(),
                metrics: metrics.cloned(),
            };
            link.lifecycle().spawn("broker publisher", lane.run());
            sender
        });
        let shared = Shared {
            lanes: lanes.collect(),
            turn: AtomicUsize::new(0),
            permits: Arc::new(Semaphore::new(max_permits as usize)),
            max_permits,
            confirm_timeout: config.confirm_timeout,
            link: link.state(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Publishes a message and waits until the broker has it, for the configured time at most.
    ///
    /// # Errors
    /// Why it may not be there; see [`PublishError`].
    pub async fn publish_confirmed(&self, publish: Publish) -> Result<(), PublishError> {
        self.publish_within(publish, self.shared.confirm_timeout)
            .await
    }

    /// Whether the broker can be reached and takes messages, as far as is known. What is published
    /// while it cannot be fails without having been sent.
    pub fn is_up(&self) -> bool {
        matches!(*self.shared.link.borrow(), LinkState::Up)
    }

    /// Waits until every lane has ended, after the broker was closed.
    pub(crate) async fn closed(&self) {
        for lane in &self.shared.lanes {
            lane.closed().await;
        }
    }

    /// Publishes a message and waits for at most `patience`.
    ///
    /// # Errors
    /// As [`Self::publish_confirmed`].
    pub async fn publish_within(
        &self,
        publish: Publish,
        patience: Duration,
    ) -> Result<(), PublishError> {
        let shared = &self.shared;
        let deadline = Instant::now() + patience;
        let cost = shared.cost(&publish)?;
        let (exchange, routing_key) = names(&publish)?;
        shared.wait_for_link(deadline).await?;
        let permits = Arc::clone(&shared.permits).acquire_many_owned(cost);
        let permit = match timeout_at(deadline, permits).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_closed)) => return Err(PublishError::Unavailable),
            Err(_elapsed) => return Err(shared.blame(PublishError::TooMany)),
        };
        let (answer, answered) = oneshot::channel();
        let job = Job {
            exchange,
            routing_key,
            properties: publish.properties.into_lapin(),
            body: publish.body,
            waiter: Waiter {
                answer,
                permit,
                started: Instant::now(),
            },
        };
        let turn = shared.turn.fetch_add(1, Ordering::Relaxed);
        let lane = &shared.lanes[turn % shared.lanes.len()];
        if lane.try_send(job).is_err() {
            return Err(PublishError::Unavailable); // Closed.
        }
        match timeout_at(deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_lane_ended)) => Err(PublishError::Unavailable),
            Err(_elapsed) => Err(shared.blame(PublishError::TimedOut)),
        }
    }
}

impl Shared {
    fn cost(&self, publish: &Publish) -> Result<u32, PublishError> {
        if publish.body.len() > MAX_BODY {
            return Err(PublishError::Invalid("the body is larger than 16 MiB"));
        }
        if publish.properties.headers_size() > MAX_HEADERS {
            return Err(PublishError::Invalid(
                "the headers are too large or too deep",
            ));
        }
        let pieces = publish.body.len() / BYTES_PER_PERMIT;
        // At most 2,049; one that costs more than there is takes everything.
        let cost = u32::try_from(pieces + 1).unwrap_or(u32::MAX);
        Ok(cost.min(self.max_permits))
    }

    /// Lets a short loss of the connection pass, and says at once what waiting would not change.
    async fn wait_for_link(&self, deadline: Instant) -> Result<(), PublishError> {
        let lost_at = match &*self.link.borrow() {
            LinkState::Up => return Ok(()),
            LinkState::Blocked { .. } => return Err(PublishError::Blocked),
            LinkState::Down { since, .. } => *since,
        };
        let mut link = self.link.clone();
        let back = link.wait_for(|state| !matches!(state, LinkState::Down { .. }));
        match timeout_at(deadline.min(lost_at + SHORT_LOSS), back).await {
            Ok(Ok(_state)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(PublishError::Unavailable),
        }
    }

    /// Why the time ran out.
    fn blame(&self, otherwise: PublishError) -> PublishError {
        match &*self.link.borrow() {
            LinkState::Up => otherwise,
            LinkState::Blocked { .. } => PublishError::Blocked,
            LinkState::Down { .. } => PublishError::Unavailable,
        }
    }
}

fn names(publish: &Publish) -> Result<(ShortString, ShortString), PublishError> {
    let short = |text: &str, why| {
        ShortString::try_new(text).map_err(|_too_long| PublishError::Invalid(why))
    };
    Ok((
        short(
            &publish.exchange,
            "the exchange's name is longer than 255 bytes",
        )?,
        short(
            &publish.routing_key,
            "the routing key is longer than 255 bytes",
        )?,
    ))
}
