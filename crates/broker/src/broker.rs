//! The entry: everything a service needs of RabbitMQ, over three connections kept up for ever.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::FutureExt as _;
use signpost_runtime::{Lifecycle, error_chain};
use tokio::time::interval;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    config::{BrokerConfig, PublisherConfig},
    consumer::{Consumer, ConsumerConfig},
    declare::{TopologyError, TopologyKeeper},
    link::{Link, LinkState, Role},
    metrics::BrokerMetrics,
    publisher::Publisher,
    queues::{QueueDepth, QueueError, Queues},
    rejected::RejectedQueue,
    topology::Topology,
};

/// RabbitMQ, for one process. Clones share the connections; they close when the last clone is
/// dropped, or by [`Broker::close`].
#[derive(Debug, Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    publish: Arc<Link>,
    consume: Arc<Link>,
    manage: Arc<Link>,
    keeper: Arc<TopologyKeeper>,
    queues: Arc<Queues>,
    lifecycle: Lifecycle,
    metrics: Option<BrokerMetrics>,
    publisher_config: PublisherConfig,
    publisher: OnceLock<Publisher>,
    rejected: OnceLock<RejectedQueue>,
    closing: CancellationToken,
    _close_on_drop: DropGuard,
}

impl Broker {
    /// Prepares the connections; each is made when it is first needed, in the background, and made
    /// again for ever. So this succeeds while the broker is down. Must be called within tokio.
    ///
    /// Tasks run in `lifecycle`, but they do not end when it stops: the last attempts still have to
    /// publish and ack. They end by [`Self::close`], or when the last handle is dropped.
    pub fn connect(
        config: &BrokerConfig,
        lifecycle: &Lifecycle,
        metrics: Option<BrokerMetrics>,
    ) -> Self {
        let topology = Topology::new(config.tiers);
        let names = topology.queues.iter().map(|queue| queue.name.clone());
        let names = names.collect();
        let keeper = TopologyKeeper::new(topology, config.topology);
        let link = |role| Link::new(role, config, Arc::clone(&keeper), lifecycle.clone());
        let manage = link(Role::Manage);
        let closing = CancellationToken::new();
        let inner = Inner {
            publish: link(Role::Publish),
            consume: link(Role::Consume),
            queues: Arc::new(Queues::new(Arc::clone(&manage), names)),
            manage,
            keeper,
            lifecycle: lifecycle.clone(),
            metrics,
            publisher_config: config.publisher,
            publisher: OnceLock::new(),
            rejected: OnceLock::new(),
            _close_on_drop: closing.clone().drop_guard(),
            closing,
        };
        let broker = Self {
            inner: Arc::new(inner),
        };
        if let Some(metrics) = &broker.inner.metrics {
            broker.measure_connections(metrics);
        }
        broker
    }

    /// The publisher. The first call starts connecting.
    pub fn publisher(&self) -> Publisher {
        let inner = &self.inner;
        let start = || {
            let metrics = inner.metrics.as_ref();
            Publisher::start(
                inner.publisher_config,
                &inner.publish,
                &inner.closing,
                metrics,
            )
        };
        inner.publisher.get_or_init(start).clone()
    }

    /// Starts to consume, until `stop` is cancelled.
    pub fn consume(&self, config: ConsumerConfig, stop: CancellationToken) -> Consumer {
        let inner = &self.inner;
        let (link, queues) = (Arc::clone(&inner.consume), Arc::clone(&inner.queues));
        Consumer::start(config, link, queues, &inner.lifecycle, stop)
    }

    /// The queue of rejected messages.
    pub fn rejected(&self) -> RejectedQueue {
        let manage = Arc::clone(&self.inner.manage);
        let make = || RejectedQueue::new(manage, self.publisher());
        self.inner.rejected.get_or_init(make).clone()
    }

    /// What one queue holds; `None` when there is no such queue.
    ///
    /// # Errors
    /// The broker did not answer in time.
    pub async fn depth(&self, queue: &str) -> Result<Option<QueueDepth>, QueueError> {
        self.inner.queues.depth(queue).await
    }

    /// What each queue of the topology holds; missing ones are left out.
    ///
    /// # Errors
    /// The broker did not answer in time.
    pub async fn depths(&self) -> Result<BTreeMap<String, QueueDepth>, QueueError> {
        self.inner.queues.depths().await
    }

    /// Connects, declares or checks the topology, and gives the result: for the start of a service
    /// and for `signpost doctor`. Waits for as long as the broker cannot be reached.
    ///
    /// # Errors
    /// The topology stands differently, and a person has to do something.
    pub async fn wait_for_topology(&self) -> Result<(), TopologyError> {
        let mut results = self.inner.keeper.result();
        loop {
            match &*results.borrow_and_update() {
                Some(Ok(())) => return Ok(()),
                Some(Err(error)) if !error.is_transient() => return Err(error.clone()),
                Some(Err(_)) | None => {}
            }
            // Boxed: the compiler cannot see through the nested futures that they are `Send`.
            let manage = Arc::clone(&self.inner.manage);
            let opening = async move { manage.channel().await }.boxed();
            // Cancel-safe: a channel that is not used is closed by its drop.
            tokio::select! {
                _changed = results.changed() => {}
                opened = opening => if let Err(error) = opened {
                    tracing::debug!(error = %error_chain(&error), "still no topology");
                }
            }
        }
    }

    /// For `/readyz`: whether publishing is possible.
    ///
    /// # Errors
    /// Why not.
    pub fn check_publishing(&self) -> Result<(), String> {
        match &*self.inner.publish.state().borrow() {
            LinkState::Up => Ok(()),
            LinkState::Blocked { reason } => Err(format!("the broker takes no messages: {reason}")),
            LinkState::Down { reason, .. } => Err(reason.clone()),
        }
    }

    /// Measures the queues from now on: `signpost_queue_messages{queue}`.
    pub fn measure_queues(&self, every: Duration) {
        let inner = &self.inner;
        let Some(metrics) = inner.metrics.clone() else {
            return;
        };
        let (queues, closing) = (Arc::clone(&inner.queues), inner.closing.clone());
        inner.lifecycle.spawn("broker queue depths", async move {
            let mut ticks = interval(every);
            loop {
                // Cancel-safe: a tick that is missed comes again.
                tokio::select! {
                    () = closing.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                match queues.depths().await {
                    Ok(depths) => {
                        for (queue, depth) in depths {
                            let gauge = metrics.queue_messages.with_label_values(&[&queue]);
                            gauge.set(i64::from(depth.ready));
                        }
                    }
                    Err(error) => tracing::debug!(%error, "queue depths are not known"),
                }
            }
        });
    }

    /// Ends it in order: the last confirms are awaited, then the connections closed. Consumers
    /// must have been closed before.
    pub async fn close(&self) {
        let inner = &self.inner;
        inner.closing.cancel();
        if let Some(publisher) = inner.publisher.get() {
            publisher.closed().await;
        }
        for link in [&inner.publish, &inner.consume, &inner.manage] {
            link.close().await;
        }
    }

    /// Keeps `signpost_broker_connected` true.
    fn measure_connections(&self, metrics: &BrokerMetrics) {
        let inner = &self.inner;
        let links = [Arc::clone(&inner.publish), Arc::clone(&inner.consume)];
        let (gauge, closing) = (metrics.connected.clone(), inner.closing.clone());
        inner.lifecycle.spawn("broker connected", async move {
            let mut looks = interval(Duration::from_millis(500));
            loop {
                let states = links.each_ref().map(|link| link.is_connected());
                let is_connected = states.contains(&Some(true)) && !states.contains(&Some(false));
                gauge.set(i64::from(is_connected));
                // Cancel-safe: a tick that is missed comes again.
                tokio::select! {
                    () = closing.cancelled() => return,
                    _ = looks.tick() => {}
                }
            }
        });
    }
}
