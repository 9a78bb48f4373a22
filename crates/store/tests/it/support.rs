//! A migrated database, and short ways to fill it.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use signpost_domain::{
    DeliveryId, EndpointId, EndpointStatus, Event, EventId, EventType, KeyId, Outcome, TenantId,
    Trigger,
};
use signpost_store::{
    Delivery, EndpointSettings, FanoutEvent, FanoutResult, InitialState, KeyRing, NewAttempt,
    NewDelivery, NextState, Settlement, Store, StoreConfig,
};
use signpost_testkit::Database;

/// A store with a database of its own, which goes when this goes.
pub(crate) struct Ledger {
    pub(crate) store: Store,
    pub(crate) database: Database,
}

impl Ledger {
    pub(crate) async fn new() -> Self {
        let database = signpost_testkit::database().await.unwrap();
        let store = Store::connect(config(&database)).unwrap();
        store.migrate().await.unwrap();
        Self { store, database }
    }

    /// Another process's view of the same database.
    pub(crate) fn other(&self, change: impl FnOnce(&mut StoreConfig)) -> Store {
        let mut config = config(&self.database);
        change(&mut config);
        Store::connect(config).unwrap()
    }

    /// One value from the database, as text.
    pub(crate) async fn value(&self, sql: &str) -> String {
        self.database.psql(sql).await.unwrap().trim().to_owned()
    }

    pub(crate) async fn tenant(&self, name: &str) -> TenantId {
        let tenant = tenant(name);
        self.store
            .put_tenant(&tenant, None, at(0))
            .await
            .unwrap()
            .unwrap();
        tenant
    }

    pub(crate) async fn endpoint(&self, tenant: &TenantId) -> EndpointId {
        let id = endpoint_id();
        let secret = SecretString::from("whsec_0123456789abcdef");
        let settings = settings();
        let stored = self
            .store
            .insert_endpoint(tenant, &id, &settings, Some(&secret), at(0));
        stored.await.unwrap().unwrap();
        id
    }

    /// Inserts one event with one delivery, as fan-out does.
    pub(crate) async fn delivery(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        state: InitialState,
        now: DateTime<Utc>,
    ) -> (EventId, DeliveryId) {
        let mut item = fanout_event(tenant, "license.created", br#"{"a":1}"#, now);
        item.deliveries.push(new_delivery(endpoint, state, now));
        let ids = (item.event.id.clone(), item.deliveries[0].id.clone());
        let results = self.store.insert_fanout(now, &[item]).await.unwrap();
        assert_eq!(results, [FanoutResult::Inserted]);
        ids
    }

    pub(crate) async fn find(&self, tenant: &TenantId, id: &DeliveryId) -> Delivery {
        self.store.find_delivery(tenant, id).await.unwrap().unwrap()
    }
}

pub(crate) fn config(database: &Database) -> StoreConfig {
    StoreConfig::new(database.url(), ring("a", 1))
}

/// A key ring of one key.
pub(crate) fn ring(kid: &str, byte: u8) -> KeyRing {
    KeyRing::parse(&format!("{kid}:{}", STANDARD.encode([byte; 32]))).unwrap()
}

/// A key ring of two keys, the first primary.
pub(crate) fn ring_of_two(first: (&str, u8), second: (&str, u8)) -> KeyRing {
    let key = |(kid, byte): (&str, u8)| format!("{kid}:{}", STANDARD.encode([byte; 32]));
    KeyRing::parse(&format!("{},{}", key(first), key(second))).unwrap()
}

/// A time, in seconds after the beginning of the test's world.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap() + TimeDelta::seconds(seconds)
}

pub(crate) fn days(days: i64) -> i64 {
    days * 86_400
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// Bytes that differ on each call and grow, so that ids of one millisecond keep their order.
fn unique() -> [u8; 10] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

pub(crate) fn endpoint_id() -> EndpointId {
    EndpointId::generate(at(0), unique())
}

pub(crate) fn key_id() -> KeyId {
    KeyId::generate(at(0), unique())
}

pub(crate) fn settings() -> EndpointSettings {
    EndpointSettings {
        name: "Billing".to_owned(),
        url: "https://example.com/hooks".to_owned(),
        events: vec!["license.*".to_owned()],
        filter: Some(json!({"status": "published", "plan": {"$in": ["a", "b"]}})),
        profile: "standard-webhooks".to_owned(),
        status: EndpointStatus::Active,
        headers: json!({"X-Team": "a", "Authorization": "Bearer x"}),
        retry: Some(json!({"delays": ["10s"]})),
        timeout: Some("10s".to_owned()),
        rate_limit: Some(7),
        metadata: json!({"z": 1, "a": [1.5, null]}),
    }
}

pub(crate) fn event_type(text: &str) -> EventType {
    EventType::parse(text).unwrap()
}

pub(crate) fn fanout_event(
    tenant: &TenantId,
    event_type: &str,
    data: &[u8],
    now: DateTime<Utc>,
) -> FanoutEvent {
    let event = Event {
        tenant: tenant.clone(),
        id: EventId::generate(now, unique()),
        event_type: self::event_type(event_type),
        occurred_at: now,
        data: data.to_vec().into(),
    };
    FanoutEvent {
        content_hash: event.content_hash(),
        event,
        traceparent: None,
        deliveries: Vec::new(),
    }
}

pub(crate) fn new_delivery(
    endpoint: &EndpointId,
    state: InitialState,
    now: DateTime<Utc>,
) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::generate(now, unique()),
        endpoint_id: endpoint.clone(),
        state,
        profile: "standard-webhooks".to_owned(),
        profile_version: 0,
        trigger: Trigger::Event,
    }
}

pub(crate) fn pending(next_attempt_at: DateTime<Utc>) -> InitialState {
    InitialState::Pending { next_attempt_at }
}

pub(crate) fn held() -> InitialState {
    InitialState::Held {
        reason: "the endpoint is paused".to_owned(),
    }
}

/// An attempt of this number that was answered 200 at `at(second)` and ended the delivery.
pub(crate) fn succeeded(
    tenant: &TenantId,
    delivery: &DeliveryId,
    number: u32,
    second: i64,
) -> Settlement {
    Settlement {
        tenant: tenant.clone(),
        delivery_id: delivery.clone(),
        attempt: attempt(number, second, Outcome::Succeeded, 200),
        next: NextState::Succeeded {
            finished_at: at(second),
        },
    }
}

/// An attempt of this number that was answered 503 at `at(second)` and is made again in 10 s.
pub(crate) fn to_be_retried(
    tenant: &TenantId,
    delivery: &DeliveryId,
    number: u32,
    second: i64,
) -> Settlement {
    Settlement {
        tenant: tenant.clone(),
        delivery_id: delivery.clone(),
        attempt: NewAttempt {
            next_attempt_at: Some(at(second + 10)),
            retry_reason: Some("status 503: retry 1 of 2".to_owned()),
            ..attempt(number, second, Outcome::HttpError, 503)
        },
        next: NextState::Pending {
            next_attempt_at: at(second + 10),
            retries_used: number,
        },
    }
}

/// An attempt of this number that was answered 404 at `at(second)` and ended the delivery.
pub(crate) fn failed(
    tenant: &TenantId,
    delivery: &DeliveryId,
    number: u32,
    second: i64,
) -> Settlement {
    Settlement {
        tenant: tenant.clone(),
        delivery_id: delivery.clone(),
        attempt: attempt(number, second, Outcome::HttpError, 404),
        next: NextState::Failed {
            finished_at: at(second),
            reason: "status 404 is not retried".to_owned(),
        },
    }
}

fn attempt(number: u32, second: i64, outcome: Outcome, status: u16) -> NewAttempt {
    NewAttempt {
        number,
        trigger: if number == 1 {
            Trigger::Event
        } else {
            Trigger::Retry
        },
        outcome,
        requested_at: at(second),
        responded_at: Some(at(second) + TimeDelta::milliseconds(12)),
        duration_ms: 12,
        request_headers: raw(&json!({"webhook-id": "evt_1", "content-type": "application/json"})),
        status_code: Some(status),
        response_headers: Some(raw(&json!({"server": "test"}))),
        response_body: Some(Bytes::from_static(b"answer")),
        error: None,
        next_attempt_at: None,
        retry_reason: None,
    }
}

/// As the ledger takes headers.
pub(crate) fn raw(json: &Value) -> Box<RawValue> {
    to_raw_value(json).unwrap()
}
