//! What the tests start from: a vhost with Signpost's topology, and a look into its events.

use std::time::Duration;

use signpost_broker::{
    Broker, BrokerConfig, BrokerUrl, Consumer, ConsumerConfig, EventMessage, IncomingEvent,
    topology,
};
use signpost_client::Publisher;
use signpost_runtime::Lifecycle;
use signpost_testkit::wait_until;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Signpost's side of a broker: the topology is declared, and events are taken from their queue.
pub(crate) struct Signpost {
    broker: Broker,
    events: Consumer,
}

impl Signpost {
    pub(crate) async fn start(url: &str) -> Self {
        let config = BrokerConfig::new(BrokerUrl::parse(url).unwrap(), "test");
        let broker = Broker::connect(&config, &Lifecycle::new(), None);
        broker.wait_for_topology().await.unwrap();
        let config = ConsumerConfig {
            queue: topology::EVENTS,
            prefetch: 100,
        };
        let events = broker.consume(config, CancellationToken::new());
        Self { broker, events }
    }

    /// The next event, in time.
    pub(crate) async fn next(&mut self) -> IncomingEvent {
        let message = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        let message = message.unwrap().unwrap();
        let event = EventMessage::decode(&message, 1 << 20).unwrap();
        message.ack.ack();
        event
    }

    /// How many events wait to be taken.
    pub(crate) async fn waiting(&self) -> u32 {
        let depth = self.broker.depth(topology::EVENTS).await.unwrap();
        depth.unwrap().ready
    }
}

/// Waits until this publisher can publish.
pub(crate) async fn wait_until_ready(publisher: &Publisher) {
    wait_until("publishing is possible", PATIENCE, async || {
        publisher.check()
    })
    .await;
}
