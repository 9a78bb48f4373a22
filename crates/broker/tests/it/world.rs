//! What every test here starts from: a vhost, and a broker handle on it.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use signpost_broker::{
    Broker, BrokerConfig, BrokerUrl, Consumer, ConsumerConfig, DeliveryMessage, EventMessage,
    Incoming, Publish, PublisherConfig, topology,
};
use signpost_domain::{
    DeliveryId, EndpointId, Event, EventId, EventType, TenantId, Tiers, Trigger,
};
use signpost_runtime::Lifecycle;
use signpost_testkit::{Vhost, vhost, wait_until};
use tokio_util::sync::CancellationToken;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A vhost with a handle on it. The tiers are a hundred times shorter.
pub(crate) struct World {
    pub(crate) vhost: Vhost,
    pub(crate) broker: Broker,
}

impl World {
    pub(crate) async fn new() -> Self {
        let vhost = vhost().await.expect("a vhost");
        let broker = connect(&config(vhost.url()));
        wait_until_publishing(&broker).await;
        Self { vhost, broker }
    }

    /// `rabbitmqctl COMMAND -p VHOST …`
    pub(crate) async fn control(&self, command: &str, args: &[&str]) {
        let args = [&[command, "-p", self.vhost.name()], args].concat();
        let control = self.vhost.control();
        control.rabbitmqctl(&args).await.expect("rabbitmqctl");
    }

    pub(crate) async fn ready(&self, queue: &str) -> u32 {
        let depth = self.broker.depth(queue).await.expect("a depth");
        depth.expect("the queue").ready
    }

    pub(crate) async fn wait_until_ready(&self, queue: &str, count: u32) {
        wait_until("the queue holds as many", PATIENCE, async || {
            match self.broker.depth(queue).await {
                Ok(Some(depth)) if depth.ready == count => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
}

pub(crate) async fn wait_until_publishing(broker: &Broker) {
    drop(broker.publisher());
    wait_until("publishing is possible", PATIENCE, async || {
        broker.check_publishing()
    })
    .await;
}

pub(crate) fn config(url: &str) -> BrokerConfig {
    BrokerConfig {
        tiers: Tiers::scaled(0.01),
        publisher: PublisherConfig {
            confirm_timeout: PATIENCE,
            ..PublisherConfig::default()
        },
        ..BrokerConfig::new(BrokerUrl::parse(url).expect("a URL"), "test")
    }
}

pub(crate) fn connect(config: &BrokerConfig) -> Broker {
    Broker::connect(config, &Lifecycle::new(), None)
}

pub(crate) fn consume(broker: &Broker, queue: &'static str, prefetch: u16) -> Consumer {
    let config = ConsumerConfig { queue, prefetch };
    broker.consume(config, CancellationToken::new())
}

/// One message, in time.
pub(crate) async fn next(consumer: &mut Consumer) -> Incoming {
    let message = tokio::time::timeout(PATIENCE, consumer.recv()).await;
    message.expect("a message in time").expect("a message")
}

/// So many messages, in time.
pub(crate) async fn take(consumer: &mut Consumer, count: usize) -> Vec<Incoming> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(next(consumer).await);
    }
    taken
}

/// An event with this id; its data is the id.
pub(crate) fn event(id: &str) -> Publish {
    let event = Event {
        tenant: TenantId::parse("acme").unwrap(),
        id: EventId::parse(id).unwrap(),
        event_type: EventType::parse("thing.happened").unwrap(),
        occurred_at: DateTime::from_timestamp(1_772_600_767, 0).unwrap(),
        data: Bytes::from(format!("{{\"id\":\"{id}\"}}")),
    };
    EventMessage::encode(&event, None)
}

pub(crate) fn events(count: usize) -> impl Iterator<Item = Publish> {
    (0..count).map(|index| event(&format!("evt-{index}")))
}

pub(crate) async fn publish_events(broker: &Broker, count: usize) {
    publish_all(broker, events(count)).await;
}

pub(crate) async fn publish_all(broker: &Broker, messages: impl Iterator<Item = Publish>) {
    let publisher = broker.publisher();
    let all = messages.map(|publish| publisher.publish_confirmed(publish));
    for result in futures::future::join_all(all).await {
        result.expect("a confirm");
    }
}

pub(crate) fn delivery(body: &str) -> DeliveryMessage {
    DeliveryMessage {
        tenant: TenantId::parse("acme").unwrap(),
        event_id: EventId::parse("evt-1").unwrap(),
        endpoint_id: EndpointId::parse("ep_01h455vb4pex5vsknk084sn02q").unwrap(),
        delivery_id: DeliveryId::parse("dlv_01h455vb4pex5vsknk084sn02q").unwrap(),
        event_type: EventType::parse("thing.happened").unwrap(),
        attempt: 1,
        retries_used: 0,
        trigger: Trigger::Event,
        due_at: DateTime::from_timestamp(1_772_600_767, 0).unwrap(),
        occurred_at: DateTime::from_timestamp(1_772_600_767, 0).unwrap(),
        profile: "standard-webhooks".to_owned(),
        profile_version: 1,
        lease: None,
        traceparent: None,
        body: Bytes::from(body.to_owned()),
    }
}

pub(crate) fn id_of(incoming: &Incoming) -> String {
    incoming
        .properties
        .message_id()
        .unwrap_or_default()
        .to_owned()
}

/// A message to the exchange of events, with any routing key and body.
pub(crate) fn anything(routing_key: &str, body: &'static [u8]) -> Publish {
    Publish {
        exchange: topology::EVENTS.to_owned(),
        routing_key: routing_key.to_owned(),
        properties: signpost_broker::Properties::persistent(),
        body: Bytes::from_static(body),
    }
}
