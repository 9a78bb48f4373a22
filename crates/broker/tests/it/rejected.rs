//! The queue of rejected messages, as operators see it.

use chrono::DateTime;
use signpost_broker::{
    EventMessage, RejectReason, RejectedMessage, RejectedQueue, Rejection, topology,
};
use signpost_testkit::wait_until;

use crate::world::{PATIENCE, World, anything, consume, id_of, next};

/// Waits until so many messages can be seen.
pub(crate) async fn wait_for(queue: &RejectedQueue, count: usize) -> Vec<RejectedMessage> {
    wait_until("so many are rejected", PATIENCE, async || {
        match queue.list(100).await {
            Ok(list) if list.len() == count => Ok(list),
            other => Err(other.map(|list| list.len())),
        }
    })
    .await
}

/// Deletes a message, however slow the broker is.
pub(crate) async fn delete(queue: &RejectedQueue, id: &str) {
    wait_until("it is deleted", PATIENCE, async || {
        match queue.delete(id).await {
            Ok(_found) => match queue.list(100).await {
                Ok(list) if list.iter().all(|message| message.id != id) => Ok(()),
                other => Err(format!("{other:?}")),
            },
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_broker_cannot_route_is_listed_and_can_be_deleted() {
    let world = World::new().await;
    let mut publish = anything("no.such.key", b"lost");
    publish.exchange = topology::DELIVERIES.to_owned();
    let publisher = world.broker.publisher();
    // Confirmed: the alternate exchange took it.
    publisher.publish_confirmed(publish).await.unwrap();
    let queue = world.broker.rejected();
    let list = wait_for(&queue, 1).await;
    assert_eq!(list[0].reason, "unroutable");
    assert_eq!(list[0].exchange.as_deref(), Some(topology::DELIVERIES));
    assert_eq!(list[0].routing_key, "no.such.key");
    assert_eq!(list[0].body, "lost");
    assert!(!queue.delete("rej_unknown").await.unwrap_or(false));
    wait_for(&queue, 1).await;
    delete(&queue, &list[0].id).await;
    wait_for(&queue, 0).await;
    assert!(!queue.delete(&list[0].id).await.unwrap_or(false));
}

#[tokio::test]
async fn a_rejected_message_can_be_sent_on_its_way_again() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    let mut consumer = consume(&world.broker, topology::EVENTS, 10);
    for (number, reason) in (0..3).zip(RejectReason::ALL) {
        let body: &'static [u8] = [&b"zero"[..], b"one", b"two"][number];
        let publish = anything("acme.a", body);
        publisher.publish_confirmed(publish).await.unwrap();
        let incoming = next(&mut consumer).await;
        let rejection = Rejection::new(*reason, "because");
        let random = [u8::try_from(number).unwrap(); 10];
        let later = 1_772_600_767 + i64::try_from(number).unwrap();
        let now = DateTime::from_timestamp(later, 0).unwrap();
        let publish = RejectedMessage::wrap(&incoming, &rejection, topology::EVENTS, now, random);
        publisher.publish_confirmed(publish).await.unwrap();
        incoming.ack.ack();
    }
    let queue = world.broker.rejected();
    let list = wait_for(&queue, 3).await;
    let bodies = |list: Vec<RejectedMessage>| list.into_iter().map(|message| message.body);
    assert!(bodies(list.clone()).eq(["zero", "one", "two"]));
    wait_until("a look is short", PATIENCE, async || {
        match queue.list(2).await.unwrap().len() {
            2 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    wait_until("it is sent again", PATIENCE, async || {
        match queue.requeue(&list[1].id).await {
            Ok(true) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let incoming = next(&mut consumer).await;
    assert_eq!(incoming.body, "one");
    assert_eq!(
        incoming.properties,
        anything("", b"")
            .properties
            .with_headers(signpost_broker::Headers::new())
    );
    let left = wait_for(&queue, 2).await;
    assert!(bodies(left).eq(["zero", "two"]));
}

#[tokio::test]
async fn bytes_that_are_no_event_are_parked_with_their_reason_and_the_next_is_read() {
    let world = World::new().await;
    let publisher = world.broker.publisher();
    publisher
        .publish_confirmed(anything("acme.a", b"\xff\x00\x17"))
        .await
        .unwrap();
    publisher
        .publish_confirmed(crate::world::event("evt-good"))
        .await
        .unwrap();
    let mut consumer = consume(&world.broker, topology::EVENTS, 10);
    let poison = next(&mut consumer).await;
    let rejection = EventMessage::decode(&poison, 1000).unwrap_err();
    assert_eq!(rejection.reason, RejectReason::BadJson);
    let now = DateTime::from_timestamp(1_772_600_767, 0).unwrap();
    let publish = RejectedMessage::wrap(&poison, &rejection, topology::EVENTS, now, [9; 10]);
    publisher.publish_confirmed(publish).await.unwrap();
    poison.ack.ack();
    let good = next(&mut consumer).await;
    assert_eq!(id_of(&good), "evt-good");
    EventMessage::decode(&good, 1000).unwrap();
    let list = wait_for(&world.broker.rejected(), 1).await;
    assert_eq!(list[0].reason, "bad_json");
    assert_eq!(list[0].body, &b"\xff\x00\x17"[..]);
}
