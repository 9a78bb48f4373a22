//! Deliveries: reading them, retrying one, replaying an event, recovering an endpoint.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use signpost_broker::{Broker, BrokerConfig, BrokerUrl, ConsumerConfig, DeliveryMessage, topology};
use signpost_domain::{
    Clock, DeliveryId, EndpointId, Event, EventId, EventType, Outcome, SystemClock, TenantId,
    Trigger,
};
use signpost_runtime::Lifecycle;
use signpost_store::{
    FanoutEvent, InitialState, NewAttempt, NewDelivery, NextState, Settlement, Store,
};

use crate::service::{PATIENCE, Service, endpoint};

const ALL: &str = "/v1/tenants/default/deliveries";

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

fn default_tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

/// An endpoint, and an event with one delivery to it, as a dispatcher leaves them.
struct Scene {
    endpoint: EndpointId,
    delivery: DeliveryId,
}

async fn scene(service: &Service, event_id: &str) -> Scene {
    let made = service
        .client
        .post(
            "/v1/tenants/default/endpoints",
            &endpoint("https://example.com/"),
        )
        .await;
    let id = made.expect(201).json["id"].as_str().unwrap().to_owned();
    let endpoint = EndpointId::parse(&id).unwrap();
    let delivery = add_delivery(&service.store(), &endpoint, event_id).await;
    Scene { endpoint, delivery }
}

async fn add_delivery(store: &Store, endpoint: &EndpointId, event_id: &str) -> DeliveryId {
    let event = Event {
        tenant: default_tenant(),
        id: EventId::parse(event_id).unwrap(),
        event_type: EventType::parse("license.created").unwrap(),
        occurred_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        data: r#"{"b":1.50,"a":1}"#.into(),
    };
    let id = DeliveryId::generate(now(), rand_bytes());
    let delivery = NewDelivery {
        id: id.clone(),
        endpoint_id: endpoint.clone(),
        state: InitialState::Pending {
            next_attempt_at: now() + Duration::from_secs(3600),
        },
        profile: "standard-webhooks".to_owned(),
        profile_version: 0,
        trigger: Trigger::Event,
    };
    let content_hash = event.content_hash();
    let stored = FanoutEvent {
        event,
        content_hash,
        traceparent: None,
        deliveries: vec![delivery],
    };
    store.insert_fanout(now(), &[stored]).await.unwrap();
    id
}

fn rand_bytes() -> [u8; 10] {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

/// As the ledger takes headers.
fn raw(json: &Value) -> Box<RawValue> {
    to_raw_value(json).unwrap()
}

async fn fail(store: &Store, delivery: &DeliveryId) {
    let attempt = NewAttempt {
        number: 1,
        trigger: Trigger::Event,
        outcome: Outcome::HttpError,
        requested_at: now(),
        responded_at: Some(now()),
        duration_ms: 42,
        request_headers: raw(&json!({"webhook-id": "e1"})),
        status_code: Some(500),
        response_headers: Some(raw(&json!({"content-type": "text/plain"}))),
        response_body: Some(b"<script>alert(1)</script>\xff".to_vec().into()),
        error: Some("the receiver answered 500".to_owned()),
        next_attempt_at: None,
        retry_reason: Some("retries are used up".to_owned()),
    };
    let next = NextState::Failed {
        finished_at: now(),
        reason: "retries are used up".to_owned(),
    };
    let settlement = Settlement {
        tenant: default_tenant(),
        delivery_id: delivery.clone(),
        attempt,
        next,
    };
    store.settle(&[settlement]).await.unwrap();
}

/// Takes delivery messages out of the queue, as a dispatcher would.
async fn take_messages(service: &Service, count: usize) -> Vec<DeliveryMessage> {
    let lifecycle = Lifecycle::new();
    let mut config = BrokerConfig::new(BrokerUrl::parse(service.vhost.url()).unwrap(), "test");
    config.tiers = signpost_domain::Tiers::scaled(0.01);
    let broker = Broker::connect(&config, &lifecycle, None);
    let consumer = ConsumerConfig {
        queue: topology::DELIVERIES,
        prefetch: 100,
    };
    let mut consumer = broker.consume(consumer, lifecycle.token());
    let mut taken = Vec::new();
    while taken.len() < count {
        let messages = tokio::time::timeout(PATIENCE, consumer.recv_many(100))
            .await
            .unwrap();
        for message in messages.unwrap() {
            taken.push(DeliveryMessage::decode(&message).unwrap());
            message.ack.ack();
        }
    }
    lifecycle.stop();
    broker.close().await;
    taken
}

#[tokio::test]
async fn a_delivery_shows_its_whole_story() {
    let service = Service::start().await;
    let scene = scene(&service, "e1").await;
    let path = format!("{ALL}/{}", scene.delivery);
    let story = service.client.get(&path).await.expect(200).json;
    assert_eq!(
        (&story["status"], &story["attempts"]),
        (&json!("pending"), &json!([]))
    );
    fail(&service.store(), &scene.delivery).await;
    let story = service.client.get(&path).await.expect(200).json;
    insta::assert_json_snapshot!(story, {
        ".id" => "[id]", ".endpoint_id" => "[id]", ".created_at" => "[time]", ".finished_at" => "[time]",
        ".attempts[].requested_at" => "[time]", ".attempts[].responded_at" => "[time]",
    });
    let of_event = service
        .client
        .get("/v1/tenants/default/events/e1/deliveries")
        .await
        .expect(200)
        .json;
    assert_eq!(of_event["items"][0]["id"], story["id"]);
}

#[tokio::test]
async fn every_filter_finds_what_it_should() {
    let service = Service::start().await;
    let (first, second) = (scene(&service, "e1").await, scene(&service, "e2").await);
    fail(&service.store(), &first.delivery).await;
    let ids = async |query: &str| -> Vec<Value> {
        let list = service
            .client
            .get(&format!("{ALL}?{query}"))
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
    let (one, two) = (
        json!(first.delivery.as_str()),
        json!(second.delivery.as_str()),
    );
    assert_eq!(ids("").await, [two.clone(), one.clone()]);
    assert_eq!(
        ids(&format!("endpoint_id={}", first.endpoint)).await,
        [one.clone()]
    );
    assert_eq!(ids("event_id=e2").await, [two.clone()]);
    assert_eq!(ids("event_type=license.created").await.len(), 2);
    assert_eq!(ids("event_type=other").await.len(), 0);
    assert_eq!(ids("status=failed").await, [one.clone()]);
    assert_eq!(ids("status=pending").await, [two.clone()]);
    assert_eq!(ids("since=2100-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(ids("until=2000-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(ids("status=failed&event_id=e2").await.len(), 0);
    let page = service
        .client
        .get(&format!("{ALL}?limit=1"))
        .await
        .expect(200)
        .json;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(ids(&format!("limit=1&cursor={cursor}")).await, [one]);
}

#[tokio::test]
async fn a_retry_is_on_its_way_at_once_with_the_same_bytes() {
    let service = Service::start().await;
    let scene = scene(&service, "e1").await;
    let path = format!("{ALL}/{}/retry", scene.delivery);
    service
        .client
        .post(&path, &json!({}))
        .await
        .expect_error(409, "conflict");
    fail(&service.store(), &scene.delivery).await;
    let reply = service
        .client
        .send("POST", &path, &[], b"")
        .await
        .expect(202)
        .json;
    assert_eq!(reply["status"], "pending");
    let message = take_messages(&service, 1).await.remove(0);
    assert_eq!(message.delivery_id, scene.delivery);
    assert_eq!((message.attempt, message.retries_used), (2, 0));
    assert_eq!(message.trigger, Trigger::Manual);
    assert_eq!(
        message.body,
        r#"{"type":"license.created","timestamp":"2026-01-02T03:04:05.000000Z","data":{"b":1.50,"a":1}}"#
    );
    let nobody = DeliveryId::generate(now(), [9; 10]);
    service
        .client
        .post(&format!("{ALL}/{nobody}/retry"), &json!({}))
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn a_replay_goes_to_all_that_match_now_or_to_one() {
    let service = Service::start().await;
    let first = scene(&service, "e1").await;
    let other = json!({"name": "x", "url": "https://example.com/", "events": ["user.*"]});
    let other = service
        .client
        .post("/v1/tenants/default/endpoints", &other)
        .await
        .expect(201)
        .json;
    let path = "/v1/tenants/default/events/e1/replay";
    let reply = service.client.post(path, &json!({})).await.expect(202).json;
    assert_eq!(reply, json!({"deliveries": 1}));
    let reply = service
        .client
        .post(path, &json!({"endpoint_id": other["id"]}))
        .await
        .expect(202)
        .json;
    assert_eq!(reply, json!({"deliveries": 1}));
    let messages = take_messages(&service, 2).await;
    let mut endpoints: Vec<_> = messages
        .iter()
        .map(|message| message.endpoint_id.to_string())
        .collect();
    endpoints.sort();
    let mut wanted = vec![
        first.endpoint.to_string(),
        other["id"].as_str().unwrap().to_owned(),
    ];
    wanted.sort();
    assert_eq!(endpoints, wanted);
    assert!(
        messages
            .iter()
            .all(|message| message.trigger == Trigger::Replay && message.attempt == 1)
    );
    let paused = format!("/v1/tenants/default/endpoints/{}", first.endpoint);
    service
        .client
        .patch(&paused, &json!({"status": "paused"}))
        .await
        .expect(200);
    service.client.post(path, &json!({})).await.expect(202);
    let held = service
        .client
        .get(&format!("{ALL}?status=held"))
        .await
        .expect(200)
        .json;
    assert_eq!(held["items"].as_array().unwrap().len(), 1);
    service
        .client
        .post("/v1/tenants/default/events/e9/replay", &json!({}))
        .await
        .expect_error(404, "not_found");
    service
        .database
        .psql("UPDATE events SET data = NULL")
        .await
        .unwrap();
    service
        .client
        .post(path, &json!({}))
        .await
        .expect_error(410, "body_expired");
    fail(&service.store(), &first.delivery).await;
    let retry = format!("{ALL}/{}/retry", first.delivery);
    service
        .client
        .post(&retry, &json!({}))
        .await
        .expect_error(410, "body_expired");
}

#[tokio::test]
async fn a_recovery_makes_all_failed_and_held_ones_due() {
    let service = Service::start().await;
    let scene = scene(&service, "e1").await;
    let store = service.store();
    fail(&store, &scene.delivery).await;
    let second = add_delivery(&store, &scene.endpoint, "e2").await;
    fail(&store, &second).await;
    add_delivery(&store, &scene.endpoint, "e3").await;
    let path = format!("/v1/tenants/default/endpoints/{}/recover", scene.endpoint);
    let future = json!({"since": "2100-01-01T00:00:00Z", "until": "2100-01-02T00:00:00Z"});
    assert_eq!(
        service.client.post(&path, &future).await.expect(202).json,
        json!({"deliveries": 0})
    );
    let reply = service
        .client
        .post(&path, &json!({"since": "2020-01-01T00:00:00Z"}))
        .await;
    assert_eq!(reply.expect(202).json, json!({"deliveries": 2}));
    let failed = service
        .client
        .get(&format!("{ALL}?status=failed"))
        .await
        .expect(200)
        .json;
    assert_eq!(failed["items"], json!([]));
    service
        .client
        .post(&path, &json!({}))
        .await
        .expect_error(422, "validation_failed");
    let nobody = format!(
        "/v1/tenants/default/endpoints/{}/recover",
        EndpointId::generate(now(), [9; 10])
    );
    let since = json!({"since": "2020-01-01T00:00:00Z"});
    service
        .client
        .post(&nobody, &since)
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn stats_count_by_status_endpoint_and_type() {
    let service = Service::start().await;
    let scene = scene(&service, "e1").await;
    let store = service.store();
    add_delivery(&store, &scene.endpoint, "e2").await;
    fail(&store, &scene.delivery).await;
    let stats = service
        .client
        .get("/v1/tenants/default/stats")
        .await
        .expect(200)
        .json;
    assert_eq!(stats["events"], 2);
    assert_eq!(
        stats["deliveries"],
        json!({"pending": 1, "succeeded": 0, "failed": 1, "held": 0, "discarded": 0})
    );
    assert_eq!(stats["success_rate"], 0.0);
    assert_eq!(
        stats["by_endpoint"][0]["endpoint_id"],
        scene.endpoint.as_str()
    );
    assert_eq!(stats["by_event_type"][0]["event_type"], "license.created");
    let none = service
        .client
        .get("/v1/tenants/default/stats?since=2100-01-01T00:00:00Z")
        .await
        .expect(200)
        .json;
    assert_eq!(none["events"], 0);
}
