//! Messages as they come over AMQP, written as text: a line per header, `--`, and the body. The
//! names `routing-key`, `message-id`, `content-type` and `timestamp` mean the properties.

use chrono::DateTime;
use signpost_broker::{
    DeliveryMessage, EventMessage, Headers, Incoming, Properties, Publish, RejectReason,
    RejectedMessage, Rejection, topology,
};
use signpost_domain::event::check_data;

use super::split;

const MAX_BYTES: usize = 4096;

fn incoming(data: &[u8]) -> Incoming {
    let (head, body) = split(data);
    let head = String::from_utf8_lossy(head);
    let (mut properties, mut headers, mut routing_key) =
        (Properties::persistent(), Headers::new(), "");
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name {
            "routing-key" => routing_key = value,
            "message-id" => properties = properties.with_message_id(value),
            "content-type" => properties = properties.with_content_type(value),
            "timestamp" => {
                properties = properties.with_timestamp(value.parse().unwrap_or(u64::MAX));
            }
            _ => {
                headers = match value.parse() {
                    Ok(number) => headers.int(name, number),
                    Err(_) => headers.text(name, value),
                }
            }
        }
    }
    let properties = properties.with_headers(headers);
    Incoming::detached(routing_key, properties, body.to_vec())
}

fn received(publish: Publish) -> Incoming {
    Incoming::detached(&publish.routing_key, publish.properties, publish.body)
}

/// An event of any publisher: what is taken is valid, and is read the same once we have written it.
pub(super) fn event(data: &[u8]) -> bool {
    let incoming = incoming(data);
    let Ok(read) = EventMessage::decode(&incoming, MAX_BYTES) else {
        return false;
    };
    assert_eq!(check_data(&read.data), Ok(()));
    assert!(read.data.len() <= MAX_BYTES);
    let traceparent = read.traceparent.clone();
    let event = read.into_event(DateTime::UNIX_EPOCH, [7; 10]);
    let own = received(EventMessage::encode(&event, traceparent.as_deref()));
    let again = EventMessage::decode(&own, MAX_BYTES).expect("what we write can be read");
    assert_eq!(again.traceparent, traceparent);
    let again = again.into_event(DateTime::UNIX_EPOCH, [8; 10]);
    assert_eq!(again.content_hash(), event.content_hash());
    assert_eq!((&again.id, &again.tenant), (&event.id, &event.tenant));
    // Times are written to the microsecond.
    let micros = event.occurred_at.timestamp_micros();
    assert_eq!(again.occurred_at.timestamp_micros(), micros);
    true
}

/// An attempt that is due: what is read is written and read the same.
pub(super) fn delivery(data: &[u8]) -> bool {
    let Ok(read) = DeliveryMessage::decode(&incoming(data)) else {
        return false;
    };
    let again = DeliveryMessage::decode(&received(read.to_deliveries()));
    let again = again.expect("what we write can be read");
    let micros = |message: &DeliveryMessage| message.occurred_at.timestamp_micros();
    assert_eq!(micros(&again), micros(&read));
    let occurred_at = read.occurred_at;
    assert_eq!(
        DeliveryMessage {
            occurred_at,
            ..again
        },
        read
    );
    true
}

/// A message that is rejected: nothing of it is lost on the way there and back.
pub(super) fn rejected(data: &[u8]) -> bool {
    let message = incoming(data);
    let (key, body) = (message.routing_key.clone(), message.body.clone());
    let now = DateTime::UNIX_EPOCH;
    // As whatever else lies in that queue.
    let foreign = RejectedMessage::read(incoming(data));
    let _published = foreign.unwrap_original();
    let rejection = Rejection::new(RejectReason::BadJson, String::from_utf8_lossy(data));
    let wrapped = RejectedMessage::wrap(&message, &rejection, topology::EVENTS, now, [3; 10]);
    let read = RejectedMessage::read(received(wrapped));
    assert_eq!((&read.routing_key, &read.body), (&key, &body));
    let original = read.unwrap_original();
    assert_eq!((original.routing_key, original.body), (key, body));
    true
}
