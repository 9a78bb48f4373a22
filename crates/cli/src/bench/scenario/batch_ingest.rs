//! Batches of 100 events, as fast as they are accepted. Nobody subscribes: what is measured is the
//! way in, up to the broker's confirm, while the dispatchers take the events off the queue.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::super::figure::{Figure, Goal};
use super::super::floor::Floor;
use super::super::generator::ClosedLoop;
use super::super::stage::{Stage, batches};
use super::super::usage::CpuMeter;

const BATCH: usize = 100;
const CONNECTIONS: usize = 8;

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) async fn run(stage: &Stage, floor: &Floor) -> Result<Vec<Figure>> {
    let tenant = stage.name("batch");
    stage.make_tenant(&tenant).await?;
    stage
        .progress
        .say(format!("batch-ingest: for {} s", stage.duration.as_secs()));
    let meter = CpuMeter::start(&stage.watched)?;
    let load = ClosedLoop {
        target: stage.batch_target(&tenant)?,
        connections: CONNECTIONS,
        window: None,
        weight: 0,
        most: usize::MAX,
        until: Instant::now() + stage.duration,
    };
    let sent = load
        .run(batches(&tenant, BATCH, |_| "bench.batch".to_owned()))
        .await?;
    let cpu = meter.stop()?;
    let events = (sent.accepted * BATCH) as u64;
    let rate = events as f64 / cpu.elapsed.as_secs_f64();
    let began = Instant::now();
    let left = stage.wait_until_empty("signpost.events").await?;
    let base = floor.publish().await?;
    let mut figures = vec![
        Figure::new("batch-ingest.events", rate, "/s")
            .goal(Goal::AtLeast(15_000.0))
            .floor(base),
        Figure::new("batch-ingest.refused", sent.refused as f64, "requests"),
        Figure::new("batch-ingest.drained_after", seconds(began.elapsed()), "s"),
        Figure::new("batch-ingest.left", f64::from(left), "events").goal(Goal::AtMost(0.0)),
    ];
    figures.extend(cpu.figures("batch-ingest", events, None, None));
    Ok(figures)
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
