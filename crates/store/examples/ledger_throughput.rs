//! Measures the two hot paths: events in, attempts recorded.
//!
//! ```sh
//! cargo run --release -p signpost-store --example throughput -- postgres://… [seconds] [writers]
//! ```
//!
//! The database must be empty or one that this program has filled before, and run on this
//! machine: the CPU time of its processes is read from `/proc`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a measuring program for developers"
)]

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use signpost_domain::{
    Clock as _, DeliveryId, EndpointId, Event, EventId, EventType, Outcome, SystemClock, TenantId,
    Trigger,
};
use signpost_store::{
    FanoutEvent, FanoutResult, InitialState, KeyRing, NewAttempt, NewDelivery, NextState, Settled,
    Settlement, Store, StoreConfig,
};
use sqlx::Connection as _;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().expect("the URL of a database to fill");
    let seconds = args.next().map_or(5, |text| text.parse().unwrap());
    let writers = args.next().map_or(2, |text| text.parse().unwrap());
    let keys = KeyRing::parse("a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let store = Store::connect(StoreConfig::new(&url, keys)).unwrap();
    store.migrate().await.unwrap();
    let server = store.server_info().await.unwrap();
    println!(
        "PostgreSQL {}, {writers} writers, events of 1 KiB, one delivery each",
        server.version
    );
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let (_, postmaster, _) = stat(backend.unsigned_abs()).unwrap();
    println!("batch  deliveries/s  fan-out ms  settle ms  postgres µs/delivery  own µs/delivery");
    for size in [1, 10, 100, 500] {
        measure(
            &store,
            postmaster,
            size,
            writers,
            Duration::from_secs(seconds),
        )
        .await;
    }
}

async fn measure(store: &Store, postmaster: u32, size: usize, writers: usize, length: Duration) {
    // Connections open, statements prepared.
    work(store, size).await;
    let (postgres, own, started) = (postgres_ticks(postmaster), own_ticks(), Instant::now());
    let (fanout, settle, rounds) = (counter(), counter(), counter());
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let store = store.clone();
            let (fanout, settle, rounds) = (fanout.clone(), settle.clone(), rounds.clone());
            tokio::spawn(async move {
                while started.elapsed() < length {
                    let (one, two) = work(&store, size).await;
                    fanout.fetch_add(one.as_micros() as u64, Ordering::Relaxed);
                    settle.fetch_add(two.as_micros() as u64, Ordering::Relaxed);
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let rounds = rounds.load(Ordering::Relaxed) as f64;
    let deliveries = rounds * size as f64;
    let micros = |ticks: u64| ticks as f64 * 10_000.0 / deliveries; // 100 ticks a second
    println!(
        "{size:5}  {:12.0}  {:10.2}  {:9.2}  {:20.0}  {:15.0}",
        deliveries / started.elapsed().as_secs_f64(),
        fanout.load(Ordering::Relaxed) as f64 / rounds / 1000.0,
        settle.load(Ordering::Relaxed) as f64 / rounds / 1000.0,
        micros(postgres_ticks(postmaster) - postgres),
        micros(own_ticks() - own),
    );
}

/// One batch through both paths; how long each took.
async fn work(store: &Store, size: usize) -> (Duration, Duration) {
    let tenant = TenantId::parse("bench").unwrap();
    let now = SystemClock.now();
    let data = format!(r#"{{"text":"{}"}}"#, "0123456789abcdef".repeat(63));
    let batch: Vec<_> = (0..size)
        .map(|_| {
            let event = Event {
                tenant: tenant.clone(),
                id: EventId::generate(now, rand::random()),
                event_type: EventType::parse("license.created").unwrap(),
                occurred_at: now,
                data: data.clone().into(),
            };
            // One of 200 endpoints.
            let mut endpoint = [0; 10];
            endpoint[9] = rand::random_range(0..200);
            let at = now - TimeDelta::milliseconds(now.timestamp_millis());
            let delivery = NewDelivery {
                id: DeliveryId::generate(now, rand::random()),
                endpoint_id: EndpointId::generate(at, endpoint),
                state: InitialState::Pending {
                    next_attempt_at: now + TimeDelta::seconds(30),
                },
                profile: "standard-webhooks".to_owned(),
                profile_version: 0,
                trigger: Trigger::Event,
            };
            FanoutEvent {
                content_hash: event.content_hash(),
                event,
                traceparent: None,
                deliveries: vec![delivery],
            }
        })
        .collect();
    let started = Instant::now();
    let results = store.insert_fanout(now, &batch).await.unwrap();
    let fanout = started.elapsed();
    assert!(
        results
            .iter()
            .all(|result| *result == FanoutResult::Inserted)
    );

    let settlements: Vec<_> = batch
        .iter()
        .map(|item| settlement(&tenant, &item.deliveries[0].id))
        .collect();
    let started = Instant::now();
    let settled = store.settle(&settlements).await.unwrap();
    assert!(
        settled
            .iter()
            .all(|settled| matches!(settled, Settled::Done { number: 1 }))
    );
    (fanout, started.elapsed())
}

fn settlement(tenant: &TenantId, delivery: &DeliveryId) -> Settlement {
    let now = SystemClock.now();
    Settlement {
        tenant: tenant.clone(),
        delivery_id: delivery.clone(),
        attempt: NewAttempt {
            number: 1,
            trigger: Trigger::Event,
            outcome: Outcome::Succeeded,
            requested_at: now,
            responded_at: Some(now),
            duration_ms: 12,
            request_headers: raw(&json!({
                "content-type": "application/json", "content-length": "1100",
                "user-agent": "Signpost/0.1", "webhook-id": delivery.as_str(),
                "webhook-timestamp": "1767225600",
                "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
            })),
            status_code: Some(200),
            response_headers: Some(raw(&json!({
                "content-type": "text/plain", "content-length": "2",
                "date": "Thu, 01 Jan 2026 00:00:00 GMT", "server": "nginx",
            }))),
            response_body: Some(Bytes::from_static(b"ok")),
            error: None,
            next_attempt_at: None,
            retry_reason: None,
        },
        next: NextState::Succeeded { finished_at: now },
    }
}

fn counter() -> Arc<AtomicU64> {
    Arc::default()
}

/// CPU time of every process of the server, those that have ended included, in ticks.
fn postgres_ticks(postmaster: u32) -> u64 {
    let processes = fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|process| {
            let (_, parent, [user, system, ended_user, ended_system]) = stat(process)?;
            match (process == postmaster, parent == postmaster) {
                (true, _) => Some(user + system + ended_user + ended_system),
                (false, true) => Some(user + system),
                (false, false) => None,
            }
        })
        .sum()
}

fn own_ticks() -> u64 {
    stat(std::process::id()).map_or(0, |(_, _, times)| times[0] + times[1])
}

/// Name, parent, and user, system, children's user and children's system time (proc(5)).
fn stat(process: u32) -> Option<(String, u32, [u64; 4])> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (start, end) = text.rsplit_once(')')?;
    let fields: Vec<_> = end.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse().ok();
    let times = [number(11)?, number(12)?, number(13)?, number(14)?];
    Some((
        start.split_once('(')?.1.to_owned(),
        fields.get(1)?.parse().ok()?,
        times,
    ))
}

/// As the ledger takes headers.
fn raw(json: &Value) -> Box<RawValue> {
    to_raw_value(json).expect("texts can be written")
}
