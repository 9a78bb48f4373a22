//! 100,000 endpoints, 10,000 of them in one tenant: the dispatchers' memory, how soon a change is
//! seen, how long a match takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use http::Method;
use serde_json::json;

use super::super::figure::{Figure, Goal};
use super::super::floor::Floor;
use super::super::generator::{ClosedLoop, OpenLoop};
use super::super::receiver::{Arrivals, Behaviour, BenchReceiver, Expected};
use super::super::stage::{Stage, endpoint, events};
use super::super::usage::MemoryLog;
use crate::client::Call;

const ENDPOINTS: usize = 100_000;
/// One tenant has this share of them.
const LARGE_SHARE: usize = 10;
const SMALL_TENANTS: usize = 90;
/// Changes whose spread is timed.
const CHANGES: usize = 10;
/// Events per tenant that make the dispatchers load it. They come one after the other, so that the
/// broker gives each dispatcher some: several at once would go to one of them, as a batch.
const LOADING_EVENTS: usize = 20;

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) async fn run(stage: &Stage, floor: &Floor) -> Result<Vec<Figure>> {
    let total = stage.scaled(ENDPOINTS);
    let large = total / LARGE_SHARE;
    let small = (total - large) / SMALL_TENANTS;
    let mut memory = MemoryLog::default();
    memory.note(&stage.watched);
    let before = memory.latest("dispatcher");

    let began = Instant::now();
    let tenants: Vec<_> = (0..=SMALL_TENANTS)
        .map(|n| stage.name(&format!("dir{n}")))
        .collect();
    for (number, tenant) in tenants.iter().enumerate() {
        stage.make_tenant(tenant).await?;
        let count = if number == 0 { large } else { small };
        // Nobody sends to them: what is measured is knowing them.
        let endpoints = (0..count).map(|n| {
            let mut endpoint = endpoint("http://127.0.0.1:48080/", &format!("dir.t{n}"));
            endpoint["events"] = json!([format!("dir.t{n}"), format!("dir.{n}.*")]);
            endpoint["filter"] = json!({ "plan": "gold", "total": { "$gt": n } });
            endpoint
        });
        stage.make_endpoints(tenant, endpoints.collect()).await?;
    }
    let made = (large + small * SMALL_TENANTS) as f64 / began.elapsed().as_secs_f64();
    stage.settle().await;

    stage.progress.say("directory: loading");
    for tenant in &tenants {
        let load = ClosedLoop {
            target: stage.events_target(tenant)?,
            connections: 1,
            window: None,
            weight: 0,
            most: LOADING_EVENTS,
            until: Instant::now() + Duration::from_secs(30),
        };
        load.run(events(tenant, |_| "dir.unknown".to_owned()))
            .await?;
    }
    stage.wait_until_empty("signpost.events").await?;
    memory.note(&stage.watched);
    let after = memory.latest("dispatcher");

    let seen = time_changes(stage, &tenants[0]).await?;
    let slowest = seen.iter().copied().fold(0.0, f64::max);
    let mut figures = vec![
        Figure::new("directory.memory", after - before, "MB").goal(Goal::AtMost(150.0)),
        Figure::new("directory.change_seen", slowest, "s").goal(Goal::AtMost(1.0)),
        Figure::new("directory.endpoints_made", made, "/s"),
    ];
    if let Some(micros) = floor.matching(total / LARGE_SHARE).await? {
        figures.push(Figure::new("directory.match", micros, "us").goal(Goal::AtMost(10.0)));
    }
    Ok(figures)
}

/// Seconds from the answer to a change until the first event that sees it was published.
async fn time_changes(stage: &Stage, tenant: &str) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for change in 0..CHANGES {
        stage
            .progress
            .say(format!("directory: change {} of {CHANGES}", change + 1));
        let prefix = format!("{tenant}-c{change}");
        let event_type = format!("seen.c{change}");
        let load = OpenLoop {
            target: stage.events_target(tenant)?,
            connections: 2,
            rate: 100.0,
            duration: Duration::from_millis(1500),
            started: Instant::now(),
        };
        let arrivals = Arc::new(Arrivals::new(Expected {
            behaviour: Behaviour::Take,
            prefix: prefix.clone(),
            events: load.count(),
            endpoints: 1,
            window: None,
        }));
        let receiver = BenchReceiver::start(Arc::clone(&arrivals))?;
        // Made beforehand, and known; what is timed is the change of its pattern.
        let made = stage.make_endpoints(tenant, vec![endpoint(&receiver.url(0), "seen.never")]);
        let id = made.await?.remove(0);
        stage.settle().await;
        let call = Call::new(Method::PATCH, ["tenants", tenant, "endpoints", &id])
            .json(&json!({ "events": [event_type] }));
        stage.client.send(call).await?;
        let changed = arrivals.started().elapsed();
        let load = OpenLoop {
            started: arrivals.started(),
            ..load
        };
        let count = load.count();
        let sent = load
            .run(events(&prefix, move |_| event_type.clone()))
            .await?;
        // All that were published once the change was seen have arrived by then.
        arrivals
            .wait_for(count as u64, Duration::from_millis(500))
            .await;
        let first_seen = (0..count).find(|number| arrivals.first(*number, 0).is_some());
        times.push(match first_seen {
            Some(number) => sent.intended[number].saturating_sub(changed).as_secs_f64(),
            None => f64::INFINITY,
        });
    }
    Ok(times)
}
