//! Confirms, and everything that can come instead of one.

use std::time::Duration;

use futures::future::join_all;
use signpost_broker::{BrokerConfig, Publish, PublishError, PublisherConfig, topology};
use signpost_domain::Tier;
use signpost_testkit::{FaultProxy, wait_until};
use tokio::time::Instant;

use crate::world::{
    PATIENCE, World, config, connect, consume, delivery, event, events, next, publish_events,
    wait_until_publishing,
};

#[tokio::test]
async fn what_is_confirmed_is_in_the_queue() {
    let world = World::new().await;
    publish_events(&world.broker, 500).await;
    assert_eq!(world.ready(topology::EVENTS).await, 500);
}

#[tokio::test]
async fn unroutable_messages_are_told_apart_from_their_neighbours() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    let tier = topology::retry_queue(Tier::all().last().unwrap());
    let messages = (0..600).map(|index| {
        let mut publish = event(&format!("evt-{index}"));
        publish.exchange = String::new();
        // Every third goes nowhere.
        publish.routing_key = if index % 3 == 0 {
            "nowhere".to_owned()
        } else {
            tier.clone()
        };
        publish
    });
    let results = join_all(messages.map(|publish| publisher.publish_confirmed(publish))).await;
    for (index, result) in results.into_iter().enumerate() {
        let expected = if index % 3 == 0 {
            Err(PublishError::Unroutable)
        } else {
            Ok(())
        };
        assert_eq!(result, expected, "message {index}");
    }
    // They wait for a scaled day there: 14 minutes.
    assert_eq!(world.ready(&tier).await, 400);
}

#[tokio::test]
async fn a_deleted_tier_is_an_error_and_declared_again() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    let tier = Tier::all().last().unwrap();
    let publish = || delivery("{}").to_tier(tier);
    publisher.publish_confirmed(publish()).await.unwrap();
    world
        .control("delete_queue", &[&topology::retry_queue(tier)])
        .await;
    let first = publisher.publish_confirmed(publish()).await;
    assert_eq!(first, Err(PublishError::Unroutable));
    wait_until("the tier stands again", PATIENCE, async || {
        publisher.publish_confirmed(publish()).await
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_takes_messages_again_when_it_has_room() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    let policy = ["full", "^signpost\\.deliveries$", "{\"max-length\":5}"];
    world.control("set_policy", &policy).await;
    let publish = || publisher.publish_confirmed(delivery("{}").to_deliveries());
    // The limit is a soft one: a few more may be taken.
    let refused = wait_until("the queue is full", PATIENCE, async || {
        match publish().await {
            Err(error) => Ok(error),
            Ok(()) => Err("taken"),
        }
    })
    .await;
    assert_eq!(refused, PublishError::Nacked);
    let mut consumer = consume(&world.broker, topology::DELIVERIES, 100);
    wait_until("there is room", PATIENCE, async || {
        if let Ok(Some(batch)) =
            tokio::time::timeout(Duration::from_millis(50), consumer.recv_many(100)).await
        {
            for incoming in batch {
                incoming.ack.ack();
            }
        }
        publish().await
    })
    .await;
}

#[tokio::test]
async fn a_missing_exchange_fails_its_message_and_the_channel_is_built_again() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    let lost = Publish {
        exchange: "missing".to_owned(),
        ..event("evt-lost")
    };
    let result = publisher.publish_confirmed(lost).await;
    assert_eq!(result, Err(PublishError::Unavailable));
    for publish in events(20) {
        wait_until("it is confirmed", PATIENCE, async || {
            publisher.publish_confirmed(publish.clone()).await
        })
        .await;
    }
}

#[tokio::test]
async fn what_can_never_be_published_is_refused_at_once() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    let long_key = Publish {
        routing_key: "a".repeat(256),
        ..event("evt-1")
    };
    let headers = signpost_broker::Headers::new().text("huge", &"x".repeat(120 * 1024));
    let huge_headers = Publish {
        properties: signpost_broker::Properties::persistent().with_headers(headers),
        ..event("evt-1")
    };
    let huge_body = Publish {
        body: vec![0; 17 * 1024 * 1024].into(),
        ..event("evt-1")
    };
    for publish in [long_key, huge_headers, huge_body] {
        let error = publisher.publish_confirmed(publish).await.unwrap_err();
        assert!(matches!(error, PublishError::Invalid(_)), "{error}");
        assert!(!error.is_transient());
    }
    publisher.publish_confirmed(event("evt-1")).await.unwrap();
}

/// A world behind a proxy, with room for one message in flight.
async fn behind_proxy(max_in_flight: u32) -> (World, FaultProxy, signpost_broker::Broker) {
    let world = World::new().await;
    let port = url_port(world.vhost.url());
    let proxy = FaultProxy::start(([127, 0, 0, 1], port).into())
        .await
        .unwrap();
    let config = BrokerConfig {
        publisher: PublisherConfig {
            confirm_timeout: Duration::from_millis(300),
            channels: 1,
            max_in_flight,
        },
        ..config(&proxy.url_through(world.vhost.url()).unwrap())
    };
    let broker = connect(&config);
    wait_until_publishing(&broker).await;
    (world, proxy, broker)
}

fn url_port(url: &str) -> u16 {
    let host = url.rsplit('@').next().unwrap();
    let port = host.split([':', '/']).nth(1).unwrap();
    port.parse().unwrap()
}

#[tokio::test]
async fn a_confirm_that_does_not_come_is_a_timeout_and_then_there_are_too_many() {
    let (world, proxy, broker) = behind_proxy(1).await;
    let publisher = broker.publisher();
    let first = publisher.publish_within(event("evt-0"), PATIENCE);
    first.await.unwrap();
    proxy.set_blackhole(true);
    let started = Instant::now();
    let result = publisher.publish_confirmed(event("evt-1")).await;
    assert_eq!(result, Err(PublishError::TimedOut));
    // The first one still takes the room.
    let result = publisher.publish_confirmed(event("evt-2")).await;
    assert_eq!(result, Err(PublishError::TooMany));
    assert!(started.elapsed() < Duration::from_secs(2));
    proxy.set_blackhole(false);
    let last = publisher.publish_within(event("evt-3"), PATIENCE);
    last.await.unwrap();
    // The one that timed out arrived late, as said; the one that never left did not.
    world.wait_until_ready(topology::EVENTS, 3).await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 10);
    for expected in ["evt-0", "evt-1", "evt-3"] {
        assert_eq!(
            next(&mut consumer).await.properties.message_id(),
            Some(expected)
        );
    }
}

#[tokio::test]
async fn what_was_in_flight_when_the_connection_broke_is_told_and_not_published_again() {
    let (world, proxy, broker) = behind_proxy(100).await;
    let publisher = broker.publisher();
    proxy.set_blackhole(true);
    let patience = Duration::from_secs(5);
    let in_flight = events(10).map(|publish| publisher.publish_within(publish, patience));
    let (results, ()) = tokio::join!(join_all(in_flight), async {
        // The proxy drops what it has not forwarded.
        tokio::task::yield_now().await;
        proxy.reset_connections();
        proxy.set_blackhole(false);
    });
    for result in results {
        // Those that had not left yet waited for the new connection.
        assert!(
            matches!(result, Ok(()) | Err(PublishError::Unavailable)),
            "{result:?}"
        );
    }
    wait_until("publishing goes on", PATIENCE, async || {
        publisher.publish_confirmed(event("evt-last")).await
    })
    .await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 100);
    let mut seen = std::collections::HashSet::new();
    loop {
        let id = crate::world::id_of(&next(&mut consumer).await);
        assert!(seen.insert(id.clone()), "{id} came twice");
        if id == "evt-last" {
            break;
        }
    }
}

#[tokio::test]
async fn without_a_broker_errors_come_in_time_and_then_at_once() {
    let (_world, proxy, broker) = behind_proxy(100).await;
    let publisher = broker.publisher();
    proxy.down();
    wait_until("the loss is noticed", PATIENCE, async || {
        broker
            .check_publishing()
            .map_or_else(|_down| Ok(()), |()| Err("up"))
    })
    .await;
    let started = Instant::now();
    let result = publisher
        .publish_within(event("evt-1"), Duration::from_secs(2))
        .await;
    assert_eq!(result, Err(PublishError::Unavailable));
    assert!(started.elapsed() < Duration::from_secs(10));
    let started = Instant::now();
    let result = publisher
        .publish_within(event("evt-1"), Duration::from_secs(60))
        .await;
    assert_eq!(result, Err(PublishError::Unavailable));
    assert!(started.elapsed() < Duration::from_secs(30));
    proxy.up().await.unwrap();
    wait_until("publishing goes on", PATIENCE, async || {
        publisher.publish_confirmed(event("evt-2")).await
    })
    .await;
}
