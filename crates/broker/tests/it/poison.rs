//! Messages that RabbitMQ takes and that would break the client library of every consumer.

use chrono::DateTime;
use signpost_broker::{EventMessage, RejectReason, RejectedMessage, topology};

use crate::{
    raw::{self, RawMessage, nested_header, short},
    rejected::{delete, wait_for},
    world::{World, consume, next},
};

fn good(id: &str) -> RawMessage {
    RawMessage {
        routing_key: b"acme.thing.happened".to_vec(),
        message_id: id.as_bytes().to_vec(),
        headers: Vec::new(),
        body: b"{}".to_vec(),
    }
}

#[tokio::test]
async fn no_message_breaks_the_connection_and_each_is_rejected_for_its_own_reason() {
    let world = World::new().await;
    let poison = [
        // The largest nesting that fits into a frame.
        (
            RawMessage {
                headers: nested_header(26_000),
                ..good("evt-deep")
            },
            RejectReason::BadHeaders,
        ),
        (
            RawMessage {
                headers: nested_header(100),
                ..good("evt-nested")
            },
            RejectReason::BadHeaders,
        ),
        (
            RawMessage {
                routing_key: b"acme.\xff\xfe".to_vec(),
                ..good("evt-key")
            },
            RejectReason::IllegalType,
        ),
        (
            RawMessage {
                message_id: b"evt\xff".to_vec(),
                ..good("")
            },
            RejectReason::BadMessageId,
        ),
    ];
    let (messages, reasons): (Vec<_>, Vec<_>) = poison.into_iter().unzip();
    raw::publish(world.vhost.url(), &messages).await;
    let odd_header = RawMessage {
        headers: [short(b"n\xffme"), vec![b't', 1]].concat(),
        ..good("evt-odd")
    };
    raw::publish(world.vhost.url(), &[odd_header, good("evt-good")]).await;

    let publisher = world.broker.publisher();
    let mut consumer = consume(&world.broker, topology::EVENTS, 10);
    for reason in &reasons {
        let incoming = next(&mut consumer).await;
        assert!(!incoming.redelivered, "the connection broke");
        let rejection = EventMessage::decode(&incoming, 1000).unwrap_err();
        assert_eq!(rejection.reason, *reason, "{rejection}");
        let now = DateTime::from_timestamp(1_772_600_767, 0).unwrap();
        let publish = RejectedMessage::wrap(&incoming, &rejection, topology::EVENTS, now, [1; 10]);
        publisher.publish_confirmed(publish).await.unwrap();
        incoming.ack.ack();
    }
    for id in ["evt-odd", "evt-good"] {
        let incoming = next(&mut consumer).await;
        assert!(!incoming.redelivered, "the connection broke");
        let event = EventMessage::decode(&incoming, 1000).unwrap();
        assert_eq!(event.id.unwrap().as_str(), id);
        incoming.ack.ack();
    }
    let rejected = wait_for(&world.broker.rejected(), reasons.len()).await;
    let listed: Vec<_> = rejected
        .iter()
        .map(|message| message.reason.as_str())
        .collect();
    let expected: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn poison_that_the_broker_rejected_by_itself_can_be_listed_and_deleted() {
    let world = World::new().await;
    world.control("delete_queue", &[topology::EVENTS]).await;
    let poison = RawMessage {
        headers: nested_header(20_000),
        routing_key: b"\xff".to_vec(),
        ..good("evt-deep")
    };
    raw::publish(world.vhost.url(), &[poison]).await;
    let queue = world.broker.rejected();
    let list = wait_for(&queue, 1).await;
    assert_eq!(list[0].reason, "unroutable");
    assert_eq!(list[0].routing_key, "?");
    delete(&queue, &list[0].id).await;
}

#[tokio::test]
async fn headers_that_fill_a_frame_do_not_break_it_when_the_broker_adds_its_own() {
    let world = World::new().await;
    let name = short(b"a");
    let full = RawMessage {
        headers: [&name[..], b"S", &raw::long(&vec![b'x'; 131_020])].concat(),
        ..good("evt-full")
    };
    raw::publish(world.vhost.url(), &[full, good("evt-good")]).await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 1);
    for count in 0..3 {
        let incoming = next(&mut consumer).await;
        assert_eq!(incoming.properties.message_id(), Some("evt-full"));
        let rejection = EventMessage::decode(&incoming, 1000).unwrap_err();
        assert_eq!(rejection.reason, RejectReason::BadHeaders);
        assert_eq!(incoming.redelivered, count > 0);
        if count < 2 {
            incoming.ack.requeue();
        } else {
            incoming.ack.ack();
        }
    }
    assert_eq!(consumer.status().view().delivered, 3);
    let incoming = next(&mut consumer).await;
    assert_eq!(incoming.properties.message_id(), Some("evt-good"));
}
