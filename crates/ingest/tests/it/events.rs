//! Publishing events, and reading them back.

use serde_json::{Value, json};
use signpost_broker::{
    Broker, BrokerConfig, BrokerUrl, ConsumerConfig, EventMessage, IncomingEvent, topology,
};
use signpost_domain::{Event, EventId, EventType, TenantId};
use signpost_runtime::Lifecycle;
use signpost_store::FanoutEvent;

use crate::service::{PATIENCE, Service};

/// Takes `count` events out of the queue, as a dispatcher would.
async fn take_events(service: &Service, count: usize) -> Vec<IncomingEvent> {
    let lifecycle = Lifecycle::new();
    let url = BrokerUrl::parse(service.vhost.url()).unwrap();
    let mut config = BrokerConfig::new(url, "test");
    config.tiers = signpost_domain::Tiers::scaled(0.01);
    let broker = Broker::connect(&config, &lifecycle, None);
    let consumer = ConsumerConfig {
        queue: topology::EVENTS,
        prefetch: 2000,
    };
    let mut consumer = broker.consume(consumer, lifecycle.token());
    let mut events = Vec::new();
    while events.len() < count {
        let messages = tokio::time::timeout(PATIENCE, consumer.recv_many(1000))
            .await
            .unwrap();
        for message in messages.unwrap() {
            events.push(EventMessage::decode(&message, 1_000_000).unwrap());
            message.ack.ack();
        }
    }
    lifecycle.stop();
    broker.close().await;
    events
}

#[tokio::test]
async fn an_accepted_event_is_in_the_queue_byte_for_byte() {
    let service = Service::start().await;
    let publisher = service.key("default", "publisher").await;
    let data = r#"{ "b" : 1.0, "a":12345678901234567890,"é":"\u00e9\/" ,"z":[1e2,-0.0] }"#;
    let body = format!(
        r#"{{"type":"license.created", "data": {data} ,"occurred_at":"2026-01-02T03:04:05.678901Z"}}"#
    );
    let reply = publisher
        .json("POST", "/v1/tenants/default/events", &body)
        .await
        .expect(202);
    assert_eq!(reply.json["type"], "license.created");
    assert_eq!(reply.json["tenant"], "default");
    assert_eq!(reply.json["occurred_at"], "2026-01-02T03:04:05.678901Z");
    let events = take_events(&service, 1).await;
    assert_eq!(events[0].data, data);
    assert_eq!(events[0].event_type.as_str(), "license.created");
    assert_eq!(events[0].id.as_ref().unwrap().as_str(), reply.json["id"]);
    assert_eq!(
        events[0].occurred_at.unwrap().to_rfc3339(),
        "2026-01-02T03:04:05.678901+00:00"
    );
}

#[tokio::test]
async fn the_id_is_the_publisher_s_or_the_idempotency_key_or_new() {
    let service = Service::start().await;
    let path = "/v1/tenants/default/events";
    let own = service
        .client
        .post(path, &json!({"type": "a", "data": 1, "id": "order-7"}))
        .await
        .expect(202);
    assert_eq!(own.json["id"], "order-7");
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "key_8"),
    ];
    let body = br#"{"type":"a","data":1}"#;
    let by_key = service
        .client
        .send("POST", path, &headers, body)
        .await
        .expect(202);
    assert_eq!(by_key.json["id"], "key_8");
    let made = service
        .client
        .post(path, &json!({"type": "a", "data": 1}))
        .await
        .expect(202);
    assert!(made.json["id"].as_str().unwrap().starts_with("evt_"));
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "no/id"),
    ];
    let reply = service.client.send("POST", path, &headers, body).await;
    reply.expect_error(400, "invalid_header");
}

#[tokio::test]
async fn trace_context_is_passed_on() {
    let service = Service::start().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("content-type", "application/json"), ("traceparent", trace)];
    let body = br#"{"type":"a","data":1}"#;
    service
        .client
        .send("POST", "/v1/tenants/default/events", &headers, body)
        .await
        .expect(202);
    let events = take_events(&service, 1).await;
    assert_eq!(events[0].traceparent.as_deref(), Some(trace));
}

#[tokio::test]
async fn a_batch_is_judged_event_by_event() {
    let service = Service::start().await;
    let path = "/v1/tenants/default/events/batch";
    let batch = json!([
        {"type": "a", "data": {"n": 1}, "id": "one"},
        {"type": "a..b", "data": 1},
        7,
        {"type": "a", "data": {"n": 2}, "id": "two"},
    ]);
    let reply = service.client.post(path, &batch).await.expect(202).json;
    assert_eq!(reply["accepted"], json!(["one", "two"]));
    let rejected = reply["rejected"].as_array().unwrap();
    assert_eq!(
        (&rejected[0]["index"], &rejected[0]["code"]),
        (&json!(1), &json!("validation_failed"))
    );
    assert_eq!(rejected[1]["index"], 2);
    let lines = "{\"type\":\"a\",\"data\":1}\n\n{\"type\":\"a\",\"data\": 2.50 }\nnope\n";
    let headers = [
        ("content-type", "application/x-ndjson"),
        ("idempotency-key", "import-1"),
    ];
    let reply = service
        .client
        .send("POST", path, &headers, lines.as_bytes())
        .await
        .expect(202)
        .json;
    assert_eq!(reply["accepted"], json!(["import-1-0", "import-1-1"]));
    assert_eq!(reply["rejected"][0]["code"], "invalid_json");
    let mut ids: Vec<_> = take_events(&service, 4).await;
    ids.sort_by(|a, b| {
        a.id.as_ref()
            .map(EventId::as_str)
            .cmp(&b.id.as_ref().map(EventId::as_str))
    });
    let seen: Vec<_> = ids
        .iter()
        .map(|event| (event.id.as_ref().unwrap().as_str(), &event.data[..]))
        .collect();
    assert_eq!(
        seen,
        [
            ("import-1-0", &b"1"[..]),
            ("import-1-1", b"2.50"),
            ("one", br#"{"n":1}"#),
            ("two", br#"{"n":2}"#)
        ]
    );
}

#[tokio::test]
async fn a_thousand_events_go_in_one_batch_and_no_more() {
    let service = Service::start().await;
    let path = "/v1/tenants/default/events/batch";
    let event = |n: usize| json!({"type": "a.b", "data": {"n": n}});
    let batch: Vec<Value> = (0..1000).map(event).collect();
    let reply = service
        .client
        .post(path, &json!(batch))
        .await
        .expect(202)
        .json;
    assert_eq!(reply["accepted"].as_array().unwrap().len(), 1000);
    assert_eq!(take_events(&service, 1000).await.len(), 1000);
    let batch: Vec<Value> = (0..1001).map(event).collect();
    service
        .client
        .post(path, &json!(batch))
        .await
        .expect_error(422, "validation_failed");
    service
        .client
        .post(path, &json!([]))
        .await
        .expect_error(422, "validation_failed");
}

#[tokio::test]
async fn data_is_refused_where_the_catalogue_says_so() {
    let service = Service::start().await;
    let path = "/v1/tenants/default/event-types/license.created";
    let mut settings = json!({
        "schema": {"type": "object", "required": ["license"], "properties": {"seats": {"type": "integer"}}},
        "validation": "reject",
    });
    service.client.put(path, &settings).await.expect(200);
    let send = async |data: Value| {
        let event = json!({"type": "license.created", "data": data});
        service
            .client
            .post("/v1/tenants/default/events", &event)
            .await
    };
    send(json!({"license": "A-1", "seats": 5}))
        .await
        .expect(202);
    let reply = send(json!({"seats": "many"}))
        .await
        .expect_error(422, "schema_violation");
    let pointers: Vec<_> = reply.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["pointer"])
        .collect();
    assert_eq!(pointers, ["/data", "/data/seats"]);
    let batch = json!([{"type": "license.created", "data": {}}, {"type": "other", "data": {}}]);
    let reply = service
        .client
        .post("/v1/tenants/default/events/batch", &batch)
        .await
        .expect(202)
        .json;
    assert_eq!(reply["rejected"][0]["code"], "schema_violation");
    settings["validation"] = "warn".into();
    service.client.put(path, &settings).await.expect(200);
    send(json!({"seats": "many"})).await.expect(202);
}

#[tokio::test]
async fn an_event_that_goes_round_in_a_circle_is_stopped() {
    let service = Service::start().await;
    let body = br#"{"type":"a","data":1}"#;
    let send = async |hops: &str| {
        let headers = [("content-type", "application/json"), ("webhook-hop", hops)];
        service
            .client
            .send("POST", "/v1/tenants/default/events", &headers, body)
            .await
    };
    send("4").await.expect(202);
    send("5").await.expect_error(422, "too_many_hops");
}

/// Puts events into the ledger, as a dispatcher would, without any delivery.
pub(crate) async fn put_events(service: &Service, tenant: &str, events: &[(&str, &str, &str)]) {
    let store = service.store();
    for (id, event_type, data) in events {
        let event = Event {
            tenant: TenantId::parse(tenant).unwrap(),
            id: EventId::parse(id).unwrap(),
            event_type: EventType::parse(event_type).unwrap(),
            occurred_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            data: data.as_bytes().to_vec().into(),
        };
        let now = signpost_domain::Clock::now(&signpost_domain::SystemClock);
        let stored = FanoutEvent {
            content_hash: event.content_hash(),
            event,
            traceparent: None,
            deliveries: Vec::new(),
        };
        store.insert_fanout(now, &[stored]).await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn are_listed_newest_first_and_shown_with_their_data() {
    let service = Service::start().await;
    let events = [
        ("e1", "a.b", "1.50"),
        ("e2", "c", "{}"),
        ("e3", "a.b", "[]"),
    ];
    put_events(&service, "default", &events).await;
    let ids = async |query: &str| -> Vec<Value> {
        let list = service
            .client
            .get(&format!("/v1/tenants/default/events{query}"))
            .await
            .expect(200)
            .json;
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].clone())
            .collect()
    };
    assert_eq!(ids("").await, ["e3", "e2", "e1"]);
    assert_eq!(ids("?type=a.b").await, ["e3", "e1"]);
    assert!(ids("?since=2100-01-01T00:00:00Z").await.is_empty());
    assert!(ids("?until=2000-01-01T00:00:00Z").await.is_empty());
    let page = service
        .client
        .get("/v1/tenants/default/events?limit=2")
        .await
        .expect(200)
        .json;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(ids(&format!("?limit=2&cursor={cursor}")).await, ["e1"]);
    let shown = service
        .client
        .get("/v1/tenants/default/events/e1")
        .await
        .expect(200);
    assert!(
        String::from_utf8(shown.bytes)
            .unwrap()
            .contains("\"data\":1.50")
    );
    service
        .client
        .get("/v1/tenants/default/events/e9")
        .await
        .expect_error(404, "not_found");
    let deliveries = service
        .client
        .get("/v1/tenants/default/events/e1/deliveries")
        .await
        .expect(200);
    assert_eq!(deliveries.json["items"], json!([]));
    service
        .client
        .get("/v1/tenants/default/events/e9/deliveries")
        .await
        .expect_error(404, "not_found");
}
