//! Declaring and checking what stands.

use lapin::{
    Channel, Connection, ConnectionProperties,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};
use signpost_broker::{BrokerConfig, TopologyError, TopologyMode, topology};
use signpost_testkit::{Vhost, vhost};

use crate::world::{World, config, connect, delivery, publish_events, wait_until_publishing};

async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await;
    let connection = connection.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

/// Somebody declared a tier with another length.
async fn declare_wrong_tier(vhost: &Vhost) {
    let (connection, channel) = channel(vhost.url()).await;
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(77));
    let options = QueueDeclareOptions::durable();
    let declared = channel.queue_declare("signpost.retry.1s".into(), options, arguments);
    declared.await.expect("the queue");
    connection.close(200, "OK".into()).await.expect("an end");
}

fn checking(url: &str) -> BrokerConfig {
    BrokerConfig {
        topology: TopologyMode::Check,
        ..config(url)
    }
}

#[tokio::test]
async fn a_difference_says_what_stands_what_is_needed_and_what_to_do() {
    let vhost = vhost().await.unwrap();
    declare_wrong_tier(&vhost).await;
    for config in [config(vhost.url()), checking(vhost.url())] {
        let is_check = config.topology == TopologyMode::Check;
        let broker = connect(&config);
        let error = broker.wait_for_topology().await.unwrap_err();
        assert!(!error.is_transient());
        let text = error.to_string();
        if is_check {
            // Everything before the tier was declared by the first round, exchanges first.
            assert!(matches!(error, TopologyError::Differs { .. }), "{text}");
        }
        for part in [
            "queue signpost.retry.1s",
            "x-message-ttl=10,",
            "x-dead-letter-exchange' for queue",
            "rabbitmqctl delete_queue",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        drop(broker.publisher());
        assert!(broker.check_publishing().is_err());
    }
}

#[tokio::test]
async fn checking_creates_nothing() {
    let vhost = vhost().await.unwrap();
    let broker = connect(&checking(vhost.url()));
    let error = broker.wait_for_topology().await.unwrap_err();
    assert!(matches!(error, TopologyError::Missing { .. }), "{error}");
    assert!(
        error.to_string().contains("exchange signpost.rejected"),
        "{error}"
    );
    for what in ["list_queues", "list_exchanges"] {
        let args = [what, "-p", vhost.name()];
        let list = vhost.control().rabbitmqctl(&args).await.unwrap();
        assert!(!list.contains("signpost"), "{list}");
    }
}

#[tokio::test]
async fn checking_is_content_with_what_declaring_made_even_for_a_user_who_may_not_configure() {
    let world = World::new().await;
    let broker = connect(&checking(world.vhost.url()));
    broker.wait_for_topology().await.unwrap();

    let user = world.vhost.name();
    let control = world.vhost.control();
    control
        .rabbitmqctl(&["add_user", user, "pw"])
        .await
        .unwrap();
    let write = "^(signpost\\.|amq\\.default$)";
    world
        .control("set_permissions", &[user, "^$", write, "^signpost\\."])
        .await;
    let host = world.vhost.url().rsplit('@').next().unwrap();
    let url = format!("amqp://{user}:pw@{host}");
    let broker = connect(&checking(&url));
    broker.wait_for_topology().await.unwrap();
    publish_events(&broker, 3).await;
    let publisher = broker.publisher();
    let tier = signpost_domain::Tier::all().last().unwrap();
    publisher
        .publish_confirmed(delivery("{}").to_tier(tier))
        .await
        .unwrap();

    let error = connect(&config(&url))
        .wait_for_topology()
        .await
        .unwrap_err();
    assert!(matches!(error, TopologyError::Forbidden { .. }), "{error}");
    control.rabbitmqctl(&["delete_user", user]).await.unwrap();
}

#[tokio::test]
async fn declaring_twice_and_at_once_is_fine() {
    let vhost = vhost().await.unwrap();
    let brokers = [(); 3].map(|()| connect(&config(vhost.url())));
    for broker in &brokers {
        wait_until_publishing(broker).await;
    }
    for broker in &brokers {
        broker.wait_for_topology().await.unwrap();
    }
    let depths = brokers[0].depths().await.unwrap();
    assert_eq!(depths.len(), 15);
    assert!(depths.contains_key(topology::REJECTED));
}
