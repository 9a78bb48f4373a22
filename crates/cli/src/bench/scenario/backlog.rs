//! A million deliveries that wait because their receiver is down, and their end: memory while they
//! pile up, how fast they drain once it is up again, and what newer events of others feel of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::super::figure::{Figure, Goal};
use super::super::floor::Floor;
use super::super::generator::{ClosedLoop, OpenLoop};
use super::super::latency::Latencies;
use super::super::receiver::{Arrivals, Behaviour, BenchReceiver, Expected};
use super::super::stage::{Stage, batches, endpoint, events};
use super::super::usage::MemoryLog;

const DELIVERIES: usize = 1_000_000;
const BATCH: usize = 100;
/// Endpoints that are down. Each event goes to one of them.
const ENDPOINTS: usize = 50;
/// New events of another tenant while the old ones drain.
const NEW_RATE: f64 = 50.0;
/// The drain is watched for this long at most.
const DRAIN: Duration = Duration::from_secs(60);
/// The circuits are tried again after at most this long.
const LONGEST_REST: Duration = Duration::from_secs(16 * 60);

pub(super) async fn run(stage: &Stage, floor: &Floor) -> Result<Vec<Figure>> {
    // Before, since the old deliveries may go on draining afterwards.
    let base = floor.deliver(1).await?.map(|base| base.rate);
    let tenant = stage.name("backlog");
    stage.make_tenant(&tenant).await?;
    let requests = stage.scaled(DELIVERIES).div_ceil(BATCH);
    let old = arrivals(&tenant, requests * BATCH, Behaviour::ClosedAtFirst);
    let receiver = BenchReceiver::start(Arc::clone(&old))?;
    let endpoints =
        (0..ENDPOINTS).map(|n| endpoint(&receiver.url(n), &format!("bench.backlog{n}")));
    stage.make_endpoints(&tenant, endpoints.collect()).await?;
    stage.settle().await;

    let mut memory = MemoryLog::default();
    let accepted = pile_up(stage, &tenant, requests, &mut memory).await?;
    old.open();
    let opened = Instant::now();
    while old.taken() < ENDPOINTS as u64 {
        memory.note(&stage.watched);
        let rested = opened.elapsed();
        stage.progress.say(format!(
            "backlog: circuits rest, for {} s so far",
            rested.as_secs()
        ));
        ensure!(
            rested < LONGEST_REST,
            "nothing was sent to a receiver that is up again"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let rested = opened.elapsed();
    let mut figures = drain(stage, &old, accepted, base, &mut memory).await?;
    figures.extend([
        Figure::new("backlog.rested", rested.as_secs_f64(), "s"),
        Figure::new("backlog.memory.ingest", memory.peak("ingest"), "MB").goal(Goal::AtMost(64.0)),
        Figure::new("backlog.memory.dispatcher", memory.peak("dispatcher"), "MB")
            .goal(Goal::AtMost(128.0)),
        Figure::new(
            "backlog.growth.dispatcher",
            memory.growth("dispatcher"),
            "MB",
        ),
    ]);
    Ok(figures)
}

/// Publishes everything, and waits until it has been fanned out; gives how many events that are.
async fn pile_up(
    stage: &Stage,
    tenant: &str,
    requests: usize,
    memory: &mut MemoryLog,
) -> Result<usize> {
    let load = ClosedLoop {
        target: stage.batch_target(tenant)?,
        connections: 8,
        window: None,
        weight: 0,
        most: requests,
        until: Instant::now() + Duration::from_secs(1800),
    };
    let types = |number| format!("bench.backlog{}", number % ENDPOINTS);
    let load = tokio::spawn(load.run(batches(tenant, BATCH, types)));
    loop {
        memory.note(&stage.watched);
        let is_sent = load.is_finished();
        let depth = stage
            .broker
            .depth("signpost.events")
            .await?
            .map_or(0, |depth| depth.ready);
        let all = requests * BATCH;
        stage
            .progress
            .say(format!("backlog: {all} events, {depth} not yet fanned out"));
        // Accepting is faster than fanning out: the queue is what is waited for.
        if is_sent && depth == 0 {
            return Ok(load.await??.accepted * BATCH);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Watches the old deliveries end, and new ones of another tenant beside them.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn drain(
    stage: &Stage,
    old: &Arrivals,
    accepted: usize,
    base: Option<f64>,
    memory: &mut MemoryLog,
) -> Result<Vec<Figure>> {
    let tenant = stage.name("backlog-new");
    stage.make_tenant(&tenant).await?;
    let load = OpenLoop {
        target: stage.events_target(&tenant)?,
        connections: 8,
        rate: NEW_RATE,
        duration: DRAIN,
        started: Instant::now(),
    };
    let new = arrivals(&tenant, load.count(), Behaviour::Take);
    let receiver = BenchReceiver::start(Arc::clone(&new))?;
    stage
        .make_endpoints(&tenant, vec![endpoint(&receiver.url(0), "*")])
        .await?;
    stage.settle().await;

    let (began, before) = (Instant::now(), old.taken());
    let load = OpenLoop {
        started: new.started(),
        ..load
    };
    let load = tokio::spawn(load.run(events(&tenant, |_| "bench.new".to_owned())));
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
    let span = drained_after.unwrap_or(DRAIN);
    let rate = (old.taken() - before) as f64 / span.as_secs_f64();
    let sent = load.await??;
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
        Figure::new("backlog.drain", rate, "/s")
            .goal(Goal::AtLeast(2_000.0))
            .floor(base),
        Figure::new("backlog.new.p50", latencies.millis(0.5), "ms"),
        Figure::new("backlog.new.p99", latencies.millis(0.99), "ms").goal(Goal::AtMost(500.0)),
    ])
}

fn arrivals(prefix: &str, events: usize, behaviour: Behaviour) -> Arc<Arrivals> {
    Arc::new(Arrivals::new(Expected {
        behaviour,
        prefix: prefix.to_owned(),
        events,
        endpoints: 1,
        window: None,
    }))
}
