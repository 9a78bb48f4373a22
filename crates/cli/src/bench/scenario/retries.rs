//! Deliveries that fail once and are retried after 1 s: all at once, and at a steady rate.
//!
//! An endpoint that fails five times in a row gets a rest from its circuit breaker, so the
//! deliveries are spread over many endpoints, four to each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::super::figure::{Figure, Goal};
use super::super::floor::Floor;
use super::super::generator::{ClosedLoop, OpenLoop};
use super::super::latency::Latencies;
use super::super::receiver::{Arrivals, Behaviour, BenchReceiver, Expected};
use super::super::stage::{Stage, endpoint, events};

/// The wait before the retry.
const WAIT: Duration = Duration::from_secs(1);
/// Deliveries in all.
const DELIVERIES: usize = 50_000;
/// Endpoints per event.
const FANOUT: usize = 125;
/// Events per endpoint: below what opens a circuit.
const EVENTS_EACH: usize = 4;
/// The steady rate, one delivery per event.
const STEADY_RATE: f64 = 500.0;

pub(super) async fn run(stage: &Stage, floor: &Floor) -> Result<Vec<Figure>> {
    let mut figures = all_at_once(stage, floor).await?;
    figures.extend(steady(stage).await?);
    Ok(figures)
}

fn retried_endpoint(url: &str, pattern: &str) -> Value {
    let mut endpoint = endpoint(url, pattern);
    endpoint["retry"] = json!({ "delays": ["1s"] });
    endpoint
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn all_at_once(stage: &Stage, floor: &Floor) -> Result<Vec<Figure>> {
    let base = floor.deliver(1).await?;
    let tenant = stage.name("retries");
    stage.make_tenant(&tenant).await?;
    let groups = stage.scaled(DELIVERIES).div_ceil(FANOUT * EVENTS_EACH);
    let count = groups * EVENTS_EACH;
    let arrivals = Arc::new(Arrivals::new(Expected {
        behaviour: Behaviour::FailFirst,
        prefix: tenant.clone(),
        events: count,
        endpoints: FANOUT,
        window: None,
    }));
    let receiver = BenchReceiver::start(Arc::clone(&arrivals))?;
    let endpoints = (0..groups * FANOUT)
        .map(|n| retried_endpoint(&receiver.url(n % FANOUT), &format!("bench.g{}", n / FANOUT)));
    stage.make_endpoints(&tenant, endpoints.collect()).await?;
    stage.settle().await;

    let expected = (count * FANOUT) as u64;
    stage
        .progress
        .say(format!("retries: {expected} deliveries that fail once"));
    let began = Instant::now();
    let load = ClosedLoop {
        target: stage.events_target(&tenant)?,
        connections: 16,
        window: None,
        weight: 0,
        most: count,
        until: began + Duration::from_secs(60),
    };
    // The groups take turns, so that an endpoint's events do not come in a row.
    load.run(events(&tenant, move |n| format!("bench.g{}", n % groups)))
        .await?;
    let taken = arrivals.wait_for(expected, Duration::from_secs(20)).await;
    let ended_after = last_arrival(&arrivals, count, FANOUT)
        .saturating_sub(began.duration_since(arrivals.started()));
    let late = lateness(&arrivals, count, FANOUT)?;
    // The second attempts alone: each is a message through a queue, and all wait first.
    let least = base.map(|base| WAIT.as_secs_f64() + expected as f64 / base.rate);
    Ok(vec![
        Figure::new("retries.ended_after", ended_after.as_secs_f64(), "s")
            .goal(Goal::AtMost(30.0))
            .floor(least),
        Figure::new(
            "retries.not_ended",
            (expected - taken.min(expected)) as f64,
            "deliveries",
        )
        .goal(Goal::AtMost(0.0)),
        Figure::new("retries.early", late.early as f64, "deliveries").goal(Goal::AtMost(0.0)),
        Figure::new("retries.late.p50", late.latencies.millis(0.5), "ms"),
        Figure::new("retries.late.p99", late.latencies.millis(0.99), "ms"),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn steady(stage: &Stage) -> Result<Vec<Figure>> {
    let tenant = stage.name("steady");
    stage.make_tenant(&tenant).await?;
    let load = OpenLoop {
        target: stage.events_target(&tenant)?,
        connections: 16,
        rate: STEADY_RATE,
        duration: stage.duration,
        started: Instant::now(),
    };
    let count = load.count();
    let arrivals = Arc::new(Arrivals::new(Expected {
        behaviour: Behaviour::FailFirst,
        prefix: tenant.clone(),
        events: count,
        endpoints: 1,
        window: None,
    }));
    let receiver = BenchReceiver::start(Arc::clone(&arrivals))?;
    let spread = count.div_ceil(EVENTS_EACH);
    let endpoints = (0..spread).map(|n| retried_endpoint(&receiver.url(0), &format!("bench.s{n}")));
    stage.make_endpoints(&tenant, endpoints.collect()).await?;
    stage.settle().await;

    stage.progress.say("retries: 500 a second that fail once");
    let load = OpenLoop {
        started: arrivals.started(),
        ..load
    };
    load.run(events(&tenant, move |n| format!("bench.s{}", n % spread)))
        .await?;
    let taken = arrivals
        .wait_for(count as u64, Duration::from_secs(20))
        .await;
    let late = lateness(&arrivals, count, 1)?;
    Ok(vec![
        Figure::new("retries.steady.late.p50", late.latencies.millis(0.5), "ms"),
        Figure::new("retries.steady.late.p99", late.latencies.millis(0.99), "ms")
            .goal(Goal::AtMost(250.0)),
        Figure::new("retries.steady.early", late.early as f64, "deliveries")
            .goal(Goal::AtMost(0.0)),
        Figure::new(
            "retries.steady.not_ended",
            (count as u64 - taken) as f64,
            "deliveries",
        )
        .goal(Goal::AtMost(0.0)),
    ])
}

/// When the second attempts came, against when they should have.
struct Lateness {
    latencies: Latencies,
    early: u64,
}

fn lateness(arrivals: &Arrivals, count: usize, fanout: usize) -> Result<Lateness> {
    let mut found = Lateness {
        latencies: Latencies::new()?,
        early: 0,
    };
    for event in 0..count {
        for endpoint in 0..fanout {
            let times = (
                arrivals.first(event, endpoint),
                arrivals.second(event, endpoint),
            );
            let (Some(first), Some(second)) = times else {
                continue;
            };
            match second.checked_sub(first + WAIT) {
                Some(late) => found.latencies.add(late),
                None => found.early += 1,
            }
        }
    }
    Ok(found)
}

fn last_arrival(arrivals: &Arrivals, count: usize, fanout: usize) -> Duration {
    let slots = (0..count).flat_map(|event| (0..fanout).map(move |endpoint| (event, endpoint)));
    slots
        .filter_map(|(event, endpoint)| arrivals.second(event, endpoint))
        .max()
        .unwrap_or_default()
}
