//! A million deliveries that wait (their endpoint is paused), and their end: memory while they
//! pile up, how fast they drain, and what newer events of others feel of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use http::Method;
use serde_json::json;

use super::super::figure::{Figure, Goal};
use super::super::generator::{ClosedLoop, OpenLoop};
use super::super::latency::Latencies;
use super::super::receiver::{Arrivals, Behaviour, BenchReceiver, Expected};
use super::super::stage::{Stage, batches, endpoint, events};
use super::super::usage::MemoryLog;
use crate::client::Call;

const DELIVERIES: usize = 1_000_000;
const BATCH: usize = 100;
/// New events of another tenant while the old ones drain.
const NEW_RATE: f64 = 50.0;
/// The drain is watched for this long at most.
const DRAIN: Duration = Duration::from_secs(60);

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) async fn run(stage: &Stage) -> Result<Vec<Figure>> {
    let tenant = stage.name("backlog");
    stage.make_tenant(&tenant).await?;
    let requests = stage.scaled(DELIVERIES).div_ceil(BATCH);
    let old = arrivals(&tenant, requests * BATCH);
    let receiver = BenchReceiver::start(Arc::clone(&old))?;
    let mut paused = endpoint(&receiver.url(0), "*");
    paused["status"] = json!("paused");
    let id = stage.make_endpoints(&tenant, vec![paused]).await?.remove(0);

    let mut memory = MemoryLog::default();
    let load = ClosedLoop {
        target: stage.batch_target(&tenant)?,
        connections: 8,
        window: None,
        weight: 0,
        most: requests,
        until: Instant::now() + Duration::from_secs(1800),
    };
    let load = tokio::spawn(load.run(batches(&tenant, BATCH, "bench.backlog")));
    // Accepting is faster than fanning out: the queue is what is waited for.
    while !load.is_finished() {
        memory.note(&stage.watched);
        let depth = stage
            .broker
            .depth("signpost.events")
            .await?
            .map_or(0, |depth| depth.ready);
        stage.progress.say(format!(
            "backlog: publishing {} events, {depth} in the queue",
            requests * BATCH
        ));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let accepted = load.await??.accepted * BATCH;
    while stage
        .broker
        .depth("signpost.events")
        .await?
        .is_some_and(|depth| depth.ready > 0)
    {
        memory.note(&stage.watched);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    let new_tenant = stage.name("backlog-new");
    stage.make_tenant(&new_tenant).await?;
    let new_load = OpenLoop {
        target: stage.events_target(&new_tenant)?,
        connections: 8,
        rate: NEW_RATE,
        duration: DRAIN,
        started: Instant::now(),
    };
    let new = arrivals(&new_tenant, new_load.count());
    let new_receiver = BenchReceiver::start(Arc::clone(&new))?;
    stage
        .make_endpoints(&new_tenant, vec![endpoint(&new_receiver.url(0), "*")])
        .await?;

    stage.progress.say("backlog: draining");
    let call = Call::new(Method::PATCH, ["tenants", &tenant, "endpoints", &id])
        .json(&json!({ "status": "active" }));
    stage.client.send(call).await?;
    let began = Instant::now();
    let new_load = OpenLoop {
        started: new.started(),
        ..new_load
    };
    let new_load = tokio::spawn(new_load.run(events(&new_tenant, |_| "bench.new".to_owned())));
    let mut drained_after = None;
    while began.elapsed() < DRAIN {
        memory.note(&stage.watched);
        let taken = old.taken();
        stage
            .progress
            .say(format!("backlog: {taken} of {accepted} drained"));
        if taken >= accepted as u64 && drained_after.is_none() {
            drained_after = Some(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let elapsed = drained_after.unwrap_or(DRAIN);
    let rate = old.taken() as f64 / elapsed.as_secs_f64();
    let sent = new_load.await??;
    new.wait_for(sent.accepted as u64, Duration::from_secs(10))
        .await;
    let mut latencies = Latencies::new()?;
    for (number, intended) in sent.intended.iter().enumerate() {
        // One that has not come by now counts as the longest that was waited.
        let arrived = new
            .first(number, 0)
            .unwrap_or_else(|| new.started().elapsed());
        latencies.add(arrived.saturating_sub(*intended));
    }
    Ok(vec![
        Figure::new("backlog.deliveries", accepted as f64, "deliveries"),
        Figure::new("backlog.memory.ingest", memory.peak("ingest"), "MB").goal(Goal::AtMost(64.0)),
        Figure::new("backlog.memory.dispatcher", memory.peak("dispatcher"), "MB")
            .goal(Goal::AtMost(128.0)),
        Figure::new(
            "backlog.growth.dispatcher",
            memory.growth("dispatcher"),
            "MB",
        ),
        Figure::new("backlog.drain", rate, "/s").goal(Goal::AtLeast(2_000.0)),
        Figure::new("backlog.new.p50", latencies.millis(0.5), "ms"),
        Figure::new("backlog.new.p99", latencies.millis(0.99), "ms").goal(Goal::AtMost(500.0)),
    ])
}

fn arrivals(prefix: &str, events: usize) -> Arc<Arrivals> {
    Arc::new(Arrivals::new(Expected {
        behaviour: Behaviour::Take,
        prefix: prefix.to_owned(),
        events,
        endpoints: 1,
        window: None,
    }))
}
