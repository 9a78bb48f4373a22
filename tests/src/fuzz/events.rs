//! Events as they come over HTTP.

use bytes::Bytes;
use chrono::DateTime;
use serde_json::Value;
use signpost_broker::{EventMessage, Incoming};
use signpost_domain::{EventId, TenantId, event::check_data};
use signpost_ingest::publish::{
    batch::{MAX_EVENTS, split_array, split_lines},
    read::{Context, read_event},
};

const MAX_BYTES: usize = 4096;

/// One event: what is taken is valid, is the publisher's own bytes, and arrives over AMQP as it is.
pub(super) fn http(data: &[u8]) -> bool {
    let tenant = TenantId::parse("acme").expect("a tenant id");
    let context = Context {
        tenant: &tenant,
        now: DateTime::UNIX_EPOCH,
        max_bytes: MAX_BYTES,
        id: EventId::parse("given").ok(),
    };
    let body = Bytes::copy_from_slice(data);
    let event = match read_event(&body, &body, &context) {
        Ok(event) => event,
        Err(error) => {
            assert!(error.code().status().is_client_error(), "{error:?}");
            return false;
        }
    };
    assert!(event.data.len() <= MAX_BYTES);
    assert_eq!(check_data(&event.data), Ok(()));
    assert!(
        body.windows(event.data.len())
            .any(|part| part == event.data)
    );
    let publish = EventMessage::encode(&event, None);
    let incoming = Incoming::detached(&publish.routing_key, publish.properties, publish.body);
    let read = EventMessage::decode(&incoming, MAX_BYTES).expect("what we write can be read");
    let read = read.into_event(context.now, [0; 10]);
    assert_eq!(read, event);
    true
}

/// A batch, in both forms: its parts are parts of the body, in order.
pub(super) fn batch(data: &[u8]) -> bool {
    let array = split_array(data);
    if let Ok(items) = &array {
        let whole: Vec<Value> = serde_json::from_slice(data).unwrap_or_default();
        // What a value cannot hold (1e999) may still be an item.
        assert!(whole.is_empty() || whole.len() == items.len());
        check_parts(data, items);
    }
    let lines = split_lines(data);
    if let Ok(items) = &lines {
        assert!(items.iter().all(|item| !item.contains(&b'\n')));
        check_parts(data, items);
    }
    array.is_ok()
}

fn check_parts(whole: &[u8], parts: &[&[u8]]) {
    assert!((1..=MAX_EVENTS).contains(&parts.len()));
    let mut from = whole.as_ptr() as usize;
    let end = from + whole.len();
    for part in parts {
        let start = part.as_ptr() as usize;
        assert!(start >= from && start + part.len() <= end);
        from = start + part.len();
    }
}
