//! What the contract says of event messages, and what may come instead.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use proptest::prelude::*;

use super::*;

const LIMIT: usize = 262_144;
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn incoming(key: &str, properties: BasicProperties, body: &[u8]) -> Incoming {
    let properties = Properties::from_lapin(properties);
    Incoming::detached(key, properties, Bytes::copy_from_slice(body))
}

fn decode(key: &str, properties: BasicProperties, body: &[u8]) -> Result<IncomingEvent, Rejection> {
    EventMessage::decode(&incoming(key, properties, body), LIMIT)
}

fn plain() -> BasicProperties {
    BasicProperties::default().with_content_type("application/json".into())
}

fn headers(entries: &[(&str, &str)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    table
}

fn time(text: &str) -> DateTime<Utc> {
    parse_time(text).unwrap()
}

fn event() -> Event {
    Event {
        tenant: TenantId::parse("acme").unwrap(),
        id: EventId::parse("evt_1").unwrap(),
        event_type: EventType::parse("license.created").unwrap(),
        occurred_at: time("2026-03-04T05:06:07Z"),
        data: Bytes::from_static(b" {\"b\":1.0, \"a\":2} "),
    }
}

fn received(publish: Publish) -> Incoming {
    Incoming::detached(&publish.routing_key, publish.properties, publish.body)
}

#[test]
fn the_message_is_the_one_of_the_contract() {
    let publish = EventMessage::encode(&event(), Some(TRACE));
    assert_eq!(publish.exchange, "signpost.events");
    assert_eq!(publish.routing_key, "acme.license.created");
    assert_eq!(publish.body, event().data);
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_message_id("evt_1".into())
        .with_timestamp(1_772_600_767)
        .with_headers(headers(&[("traceparent", TRACE)]));
    assert_eq!(publish.properties.into_lapin(), properties);
}

#[test]
fn what_is_written_is_read_back_to_the_nanosecond() {
    for occurred_at in [
        "2026-03-04T05:06:07Z",
        "2026-03-04T05:06:07.123Z",
        "2026-03-04T05:06:07.123456789Z",
        "1970-01-01T00:00:00Z",
    ] {
        let event = Event {
            occurred_at: time(occurred_at),
            ..event()
        };
        let read = EventMessage::decode(&received(EventMessage::encode(&event, None)), LIMIT);
        assert_eq!(
            read.unwrap()
                .into_event(time("2030-01-01T00:00:00Z"), [0; 10]),
            event
        );
    }
}

#[test]
fn a_bare_message_gets_its_id_and_time_at_fan_out() {
    let read = decode("acme.a", BasicProperties::default(), b"1").unwrap();
    assert_eq!((&read.id, &read.occurred_at), (&None, &None));
    let now = time("2030-01-01T00:00:00Z");
    let event = read.into_event(now, [7; 10]);
    assert!(event.id.as_str().starts_with("evt_"));
    assert_eq!(event.occurred_at, now);
    let empty_id = decode("acme.a", plain().with_message_id("".into()), b"1").unwrap();
    assert_eq!(empty_id.id, None);
}

#[test]
fn each_unreadable_message_has_its_reason() {
    use RejectReason::{
        BadHeaders, BadJson, BadMessageId, BadRoutingKey, BadTenant, BadTimestamp, IllegalType,
        TooDeep, TooLarge,
    };
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let large = vec![b' '; LIMIT + 1];
    let milliseconds = plain().with_timestamp(1_772_600_767_000);
    let mangled = plain().with_headers(headers(&[(UNREADABLE, "")]));
    let cases: [(&str, BasicProperties, &[u8], RejectReason); 16] = [
        ("acme", plain(), b"{}", BadRoutingKey),
        ("", plain(), b"{}", BadRoutingKey),
        ("Acme.a", plain(), b"{}", BadTenant),
        (".a", plain(), b"{}", BadTenant),
        ("acme.", plain(), b"{}", IllegalType),
        ("acme.a..b", plain(), b"{}", IllegalType),
        ("acme.??", plain(), b"{}", IllegalType),
        ("acme.a", plain(), &large, TooLarge),
        ("acme.a", plain(), b"", BadJson),
        ("acme.a", plain(), b"\x00\xff", BadJson),
        (
            "acme.a",
            plain().with_content_encoding("gzip".into()),
            b"{}",
            BadJson,
        ),
        ("acme.a", plain(), deep.as_bytes(), TooDeep),
        (
            "acme.a",
            plain().with_message_id("a b".into()),
            b"{}",
            BadMessageId,
        ),
        ("acme.a", milliseconds, b"{}", BadTimestamp),
        (
            "acme.a",
            plain().with_timestamp(u64::MAX),
            b"{}",
            BadTimestamp,
        ),
        ("acme.a", mangled, b"{}", BadHeaders),
    ];
    for (key, properties, body, reason) in cases {
        let rejection = decode(key, properties, body).unwrap_err();
        assert_eq!(rejection.reason, reason, "{key}: {rejection}");
    }
    let exact = headers(&[(OCCURRED_AT, "yesterday")]);
    let rejection = decode("acme.a", plain().with_headers(exact), b"{}").unwrap_err();
    assert_eq!(rejection.reason, BadTimestamp);
}

#[test]
fn trace_context_is_passed_on_only_where_it_is_some() {
    for (text, expected) in [(TRACE, Some(TRACE)), ("\r\nX: y", None), ("", None)] {
        let properties = plain().with_headers(headers(&[("traceparent", text)]));
        let read = decode("acme.a", properties, b"{}").unwrap();
        assert_eq!(read.traceparent.as_deref(), expected);
    }
}

fn structured(body: &str) -> Result<IncomingEvent, Rejection> {
    let properties = BasicProperties::default()
        .with_content_type("application/cloudevents+json; charset=utf-8".into())
        .with_timestamp(1);
    decode("acme.a.b", properties, body.as_bytes())
}

#[test]
fn structured_cloud_events_give_their_data_byte_for_byte() {
    let read = structured(
        r#"{"specversion":"1.0","id":"e-1","source":"/x","type":"a.b","time":"2026-03-04T05:06:07.5+01:00",
           "tenant":"other","data": {"b" :1.0,"a":"ä"} ,"ext":7}"#,
    )
    .unwrap();
    assert_eq!(read.tenant.as_str(), "acme");
    assert_eq!(read.id.as_ref().map(EventId::as_str), Some("e-1"));
    assert_eq!(read.occurred_at, Some(time("2026-03-04T04:06:07.5Z")));
    assert_eq!(read.data, r#"{"b" :1.0,"a":"ä"}"#);
    let without = r#"{"specversion":"1.0","id":"e-1","source":"/x","type":"a.b"}"#;
    let read = structured(without).unwrap();
    assert_eq!(read.data, "null");
    assert_eq!(read.occurred_at, Some(time("1970-01-01T00:00:01Z")));
}

#[test]
fn cloud_events_that_are_none_are_rejected() {
    let id = "\"specversion\":\"1.0\",\"id\":\"e\"";
    for body in [
        "[]".to_owned(),
        "{".to_owned(),
        format!("{{{id}}}"),
        format!("{{{id},\"type\":\"c.d\"}}"),
        format!("{{{id},\"type\":\"a.b\",\"data_base64\":\"e30=\"}}"),
        format!("{{{id},\"type\":\"a.b\",\"time\":\"now\"}}"),
        format!("{{{id},\"type\":\"a.b\",\"type\":\"a.b\"}}"),
        "{\"specversion\":\"0.3\",\"id\":\"e\",\"type\":\"a.b\"}".to_owned(),
    ] {
        let rejection = structured(&body).unwrap_err();
        assert_eq!(
            rejection.reason,
            RejectReason::BadCloudEvent,
            "{body}: {rejection}"
        );
    }
    let bad_id = "{\"specversion\":\"1.0\",\"id\":\"e 1\",\"type\":\"a.b\"}";
    assert_eq!(
        structured(bad_id).unwrap_err().reason,
        RejectReason::BadMessageId
    );
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let deep = format!("{{{id},\"type\":\"a.b\",\"data\":{deep}}}");
    assert_eq!(structured(&deep).unwrap_err().reason, RejectReason::TooDeep);
    let batch = plain().with_content_type("application/cloudevents-batch+json".into());
    let rejection = decode("acme.a", batch, b"[]").unwrap_err();
    assert_eq!(rejection.reason, RejectReason::BadCloudEvent);
}

#[test]
fn binary_cloud_events_have_their_attributes_in_headers() {
    for prefix in ["cloudEvents:", "cloudEvents_"] {
        let names = ["specversion", "id", "type", "time"].map(|name| format!("{prefix}{name}"));
        let values = ["1.0", "e-1", "a.b", "2026-03-04T05:06:07Z"];
        let entries: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
        let all = plain().with_headers(headers(&entries));
        let read = decode("acme.a.b", all.clone(), b"{\"x\":1}").unwrap();
        assert_eq!(read.id.as_ref().map(EventId::as_str), Some("e-1"));
        assert_eq!(read.occurred_at, Some(time("2026-03-04T05:06:07Z")));
        assert_eq!(read.data, "{\"x\":1}");
        // The contract's own property comes first.
        let own = decode("acme.a.b", all.clone().with_message_id("own".into()), b"{}");
        assert_eq!(own.unwrap().id.as_ref().map(EventId::as_str), Some("own"));
        let other = decode("acme.c", all, b"{}").unwrap_err();
        assert_eq!(other.reason, RejectReason::BadCloudEvent);
        let no_id = plain().with_headers(headers(&entries[..1]));
        let rejection = decode("acme.a.b", no_id, b"{}").unwrap_err();
        assert_eq!(rejection.reason, RejectReason::BadCloudEvent);
    }
}

proptest! {
    #[test]
    fn no_message_makes_decoding_panic(
        key in ".{0,40}",
        id in proptest::option::of(".{0,40}"),
        content_type in proptest::sample::select(vec!["", "application/json", "application/cloudevents+json"]),
        timestamp in proptest::option::of(any::<u64>()),
        header in ".{0,10}",
        value in ".{0,40}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut properties = BasicProperties::default()
            .with_content_type(content_type.into())
            .with_headers(headers(&[(&header, &value), ("cloudEvents:specversion", "1.0")]));
        if let Some(id) = id {
            properties = properties.with_message_id(id.into());
        }
        if let Some(seconds) = timestamp {
            properties = properties.with_timestamp(seconds);
        }
        let _decoded = decode(&key, properties.clone(), &body);
        let _decoded = crate::DeliveryMessage::decode(&incoming(&key, properties, &body));
    }
}
