//! Messages, acks, and what a consumer survives.

use std::{collections::BTreeSet, time::Duration};

use signpost_broker::{ConsumerConfig, Publish, topology};
use signpost_testkit::wait_until;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::world::{
    PATIENCE, World, consume, event, id_of, next, publish_all, publish_events, take,
};

#[tokio::test]
async fn a_message_arrives_as_it_was_published() {
    let world = World::new().await;
    let publish = event("evt-1");
    world
        .broker
        .publisher()
        .publish_confirmed(publish.clone())
        .await
        .unwrap();
    let mut consumer = consume(&world.broker, topology::EVENTS, 10);
    let incoming = next(&mut consumer).await;
    assert_eq!(incoming.body, publish.body);
    assert_eq!(incoming.properties, publish.properties);
    assert_eq!(incoming.exchange, topology::EVENTS);
    assert_eq!(incoming.routing_key, "acme.thing.happened");
    assert!(!incoming.redelivered);
    assert_eq!(incoming.delivery_count, 0);
    incoming.ack.ack();
    consumer.close().await;
    assert_eq!(world.ready(topology::EVENTS).await, 0);
}

#[tokio::test]
async fn a_batch_is_what_has_arrived() {
    let world = World::new().await;
    publish_events(&world.broker, 30).await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 100);
    let mut seen = 0;
    while seen < 30 {
        let batch = timeout(PATIENCE, consumer.recv_many(20))
            .await
            .unwrap()
            .unwrap();
        assert!((1..=20).contains(&batch.len()));
        seen += batch.len();
    }
    let nothing = timeout(Duration::from_millis(20), consumer.recv_many(20)).await;
    assert!(nothing.is_err());
}

#[tokio::test]
async fn acks_in_any_order_leave_exactly_the_others() {
    let world = World::new().await;
    publish_events(&world.broker, 200).await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 200);
    let mut taken = take(&mut consumer, 200).await;
    // Every seventh is not settled; the others are, from the back to the front.
    let mut kept = BTreeSet::new();
    let mut held = Vec::new();
    for (index, incoming) in taken.drain(..).enumerate().rev() {
        if index % 7 == 0 {
            kept.insert(id_of(&incoming));
            held.push(incoming);
        } else {
            incoming.ack.ack();
        }
    }
    wait_until("the acks are sent", PATIENCE, async || {
        match consumer.status().view().unsettled {
            left if left == kept.len() => Ok(()),
            left => Err(left),
        }
    })
    .await;
    // One that is answered proves that the broker has come past the acks.
    world.wait_until_ready(topology::EVENTS, 0).await;
    world.control("close_all_connections", &["test"]).await;
    let mut again = BTreeSet::new();
    for incoming in take(&mut consumer, kept.len()).await {
        assert!(incoming.redelivered);
        again.insert(id_of(&incoming));
        incoming.ack.ack();
    }
    assert_eq!(again, kept);
    assert!(held.iter().all(|incoming| !incoming.ack.is_live()));
    for incoming in held {
        incoming.ack.ack();
    }
    consumer.close().await;
    assert_eq!(world.ready(topology::EVENTS).await, 0);
}

#[tokio::test]
async fn a_given_back_message_comes_again() {
    let world = World::new().await;
    publish_events(&world.broker, 1).await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 10);
    next(&mut consumer).await.ack.requeue();
    let incoming = next(&mut consumer).await;
    assert!(incoming.redelivered);
    // From 4.3 on the broker does not count what is given back.
    assert!(incoming.delivery_count <= 1);
}

#[tokio::test]
async fn a_deleted_queue_is_declared_again_and_consumed() {
    let world = World::new().await;
    publish_events(&world.broker, 1).await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 10);
    next(&mut consumer).await.ack.ack();
    world.control("delete_queue", &[topology::EVENTS]).await;
    let publisher = world.broker.publisher();
    // Until the queue stands again, events go to the rejected ones by the alternate exchange.
    let came = async {
        loop {
            let _confirmed = publisher.publish_confirmed(event("evt-after")).await;
            if let Ok(incoming) = timeout(Duration::from_millis(100), consumer.recv()).await {
                return incoming.unwrap();
            }
        }
    };
    let incoming = timeout(PATIENCE, came).await.unwrap();
    assert_eq!(id_of(&incoming), "evt-after");
    assert_eq!(consumer.status().check(), Ok(()));
}

#[tokio::test]
async fn stopping_hands_back_what_was_not_taken_and_sends_the_last_acks() {
    let world = World::new().await;
    publish_events(&world.broker, 100).await;
    let stop = CancellationToken::new();
    let config = ConsumerConfig {
        queue: topology::EVENTS,
        prefetch: 50,
    };
    let mut consumer = world.broker.consume(config, stop.clone());
    let mut taken = take(&mut consumer, 10).await;
    stop.cancel();
    assert!(
        timeout(PATIENCE, consumer.recv_many(10))
            .await
            .unwrap()
            .is_none()
    );
    // Back at once, although ten are still in work.
    world.wait_until_ready(topology::EVENTS, 90).await;
    let unsettled = taken.split_off(7);
    for incoming in taken {
        incoming.ack.ack();
    }
    consumer.close().await;
    drop(unsettled);
    world.wait_until_ready(topology::EVENTS, 93).await;
}

#[tokio::test]
async fn many_messages_pass_a_small_window() {
    let world = World::new().await;
    publish_events(&world.broker, 1000).await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 16);
    let mut seen = BTreeSet::new();
    while seen.len() < 1000 {
        for incoming in timeout(PATIENCE, consumer.recv_many(16))
            .await
            .unwrap()
            .unwrap()
        {
            assert!(!incoming.redelivered);
            seen.insert(id_of(&incoming));
            incoming.ack.ack();
        }
    }
    let view = consumer.status().view();
    assert_eq!(view.delivered, 1000);
    assert!(view.last_delivery.is_some());
    consumer.close().await;
    assert_eq!(world.ready(topology::EVENTS).await, 0);
}

fn large(index: usize) -> Publish {
    Publish {
        body: vec![b'x'; 256 * 1024].into(),
        ..event(&format!("large-{index}"))
    }
}

#[tokio::test]
async fn a_consumer_that_starts_with_large_messages_holds_few() {
    let world = World::new().await;
    publish_all(&world.broker, (0..100).map(large)).await;
    let consumer = consume(&world.broker, topology::EVENTS, 1000);
    wait_until("it holds 32", PATIENCE, async || {
        match consumer.status().view().unsettled {
            32 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(world.ready(topology::EVENTS).await, 68);
}

#[tokio::test]
async fn the_window_follows_the_size_of_the_messages() {
    let world = World::new().await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 300);
    let status = consumer.status();
    let mut seen = BTreeSet::new();
    for (part, windows) in [
        ("small", 300..=300),
        ("large", 32..=63),
        ("again", 300..=300),
    ] {
        let publishes = (0..300).map(|index| match part {
            "large" => large(index),
            _ => event(&format!("{part}-{index}")),
        });
        publish_all(&world.broker, publishes).await;
        // Small ones are all taken before any is settled.
        let at_once = if part == "large" { 1 } else { 300 };
        for _ in 0..300 / at_once {
            for incoming in take(&mut consumer, at_once).await {
                assert!(seen.insert(id_of(&incoming)));
                incoming.ack.ack();
            }
        }
        let now = status.view().window;
        assert!(windows.contains(&now), "{part}: {now}");
    }
    consumer.close().await;
    assert_eq!(seen.len(), 900);
    assert_eq!(world.ready(topology::EVENTS).await, 0);
}
