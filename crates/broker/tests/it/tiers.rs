//! Waiting in the tiers.

use std::{collections::HashMap, time::Duration};

use signpost_broker::{DeliveryMessage, Incoming, topology};
use signpost_domain::{Tier, Tiers};
use tokio::time::Instant;

use crate::world::{World, consume, delivery, next};

fn tier(name: &str) -> Tier {
    Tier::all().find(|tier| tier.name() == name).unwrap()
}

fn body(incoming: &Incoming) -> String {
    String::from_utf8(incoming.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_message_stays_in_its_tier_and_never_comes_early() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    let mut consumer = consume(&world.broker, topology::DELIVERIES, 100);
    let names = ["1m", "1s", "30s", "10s", "4s"];
    let mut started = HashMap::new();
    for name in names {
        started.insert(name.to_owned(), Instant::now());
        let publish = delivery(name).to_tier(tier(name));
        publisher.publish_confirmed(publish).await.unwrap();
    }
    for _ in names {
        let incoming = next(&mut consumer).await;
        let name = body(&incoming);
        let waited = started.remove(&name).expect("each comes once").elapsed();
        assert!(
            waited >= Tiers::scaled(0.01).ttl(tier(&name)),
            "{name}: {waited:?}"
        );
        assert_eq!(incoming.routing_key, topology::DELIVERIES);
        incoming.ack.ack();
    }
}

#[tokio::test]
async fn a_message_goes_through_one_tier_again_and_again() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    let mut consumer = consume(&world.broker, topology::DELIVERIES, 100);
    let mut message = delivery("round and round");
    let ten = tier("10s");
    for round in 1..=6 {
        let started = Instant::now();
        publisher
            .publish_confirmed(message.to_tier(ten))
            .await
            .unwrap();
        let incoming = next(&mut consumer).await;
        assert!(started.elapsed() >= Duration::from_millis(100));
        // RabbitMQ counts its way; with a copied count 3.10 would drop the message by now.
        assert!(incoming.properties.has_header("x-death"));
        message = DeliveryMessage::decode(&incoming).unwrap();
        assert_eq!(message.attempt, round);
        assert!(!message.to_tier(ten).properties.has_header("x-death"));
        message.attempt += 1;
        incoming.ack.ack();
    }
    assert_eq!(message.body, "round and round");
}

#[tokio::test]
async fn a_short_wait_is_not_held_up_by_a_long_one() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    let mut consumer = consume(&world.broker, topology::DELIVERIES, 100);
    publisher
        .publish_confirmed(delivery("long").to_tier(tier("1d")))
        .await
        .unwrap();
    publisher
        .publish_confirmed(delivery("short").to_tier(tier("1s")))
        .await
        .unwrap();
    assert_eq!(body(&next(&mut consumer).await), "short");
}
