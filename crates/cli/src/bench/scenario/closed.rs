//! Throughput and CPU per delivery in a closed loop: with one endpoint per event, and with ten.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::super::figure::{Figure, Goal};
use super::super::floor::Floor;
use super::super::generator::ClosedLoop;
use super::super::receiver::{Arrivals, Behaviour, BenchReceiver, Expected};
use super::super::stage::{Stage, endpoint, events};
use super::super::usage::CpuMeter;

/// Before anything is measured: connections open, caches fill.
const WARM_UP: Duration = Duration::from_secs(2);
/// No machine that this runs on does more events a second.
const MOST_PER_SECOND: u64 = 60_000;
/// Endpoints that the events of `single` are spread over.
const SPREAD: usize = 20;

/// A variant of this scenario.
pub(super) struct Variant {
    name: &'static str,
    /// Endpoints that get each event.
    fanout: usize,
    /// Deliveries a second.
    rate_goal: f64,
    /// Microseconds of CPU per delivery.
    cpu_goal: f64,
}

pub(super) const SINGLE: Variant = Variant {
    name: "single",
    fanout: 1,
    rate_goal: 5_000.0,
    cpu_goal: 230.0,
};
pub(super) const FANOUT10: Variant = Variant {
    name: "fanout10",
    fanout: 10,
    rate_goal: 12_000.0,
    cpu_goal: 100.0,
};

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) async fn run(stage: &Stage, variant: &Variant, floor: &Floor) -> Result<Vec<Figure>> {
    let Variant {
        name,
        fanout,
        rate_goal,
        cpu_goal,
    } = *variant;
    let tenant = stage.name(name);
    stage.make_tenant(&tenant).await?;
    let span = WARM_UP + stage.duration;
    let most = usize::try_from(MOST_PER_SECOND * span.as_secs() / fanout as u64)?;
    let arrivals = Arc::new(Arrivals::new(Expected {
        behaviour: Behaviour::Take,
        prefix: tenant.clone(),
        events: most,
        endpoints: fanout,
        window: Some(stage.window.max(fanout)),
    }));
    let receiver = BenchReceiver::start(Arc::clone(&arrivals))?;
    // One endpoint per event: the events are of as many types as there are endpoints.
    let endpoints = match fanout {
        1 => (0..SPREAD)
            .map(|n| endpoint(&receiver.url(n), &format!("bench.t{n}")))
            .collect(),
        _ => (0..fanout)
            .map(|n| endpoint(&receiver.url(n), "bench.t0"))
            .collect(),
    };
    stage.make_endpoints(&tenant, endpoints).await?;
    stage.settle().await;

    stage
        .progress
        .say(format!("{name}: closed loop for {} s", span.as_secs()));
    let until = Instant::now() + span;
    let load = ClosedLoop {
        target: stage.events_target(&tenant)?,
        connections: stage.connections,
        window: arrivals.window().cloned(),
        weight: u32::try_from(fanout)?,
        most,
        until,
    };
    let spread = if fanout == 1 { SPREAD } else { 1 };
    let load = tokio::spawn(load.run(events(&tenant, move |n| format!("bench.t{}", n % spread))));
    tokio::time::sleep(WARM_UP).await;
    let (meter, before) = (CpuMeter::start(&stage.watched)?, arrivals.taken());
    tokio::time::sleep_until(until.into()).await;
    let (cpu, after) = (meter.stop()?, arrivals.taken());
    let sent = load.await??;

    let expected = (sent.accepted * fanout) as u64;
    stage.progress.say(format!("{name}: waiting for the rest"));
    let taken = arrivals.wait_for(expected, Duration::from_secs(10)).await;
    let (repeated, strange) = arrivals.repeated_and_strange();
    let measured = after - before;
    let base = floor.deliver(fanout).await?;
    let rate = measured as f64 / cpu.elapsed.as_secs_f64();
    let mut figures = vec![
        Figure::new(format!("{name}.deliveries"), rate, "/s")
            .goal(Goal::AtLeast(rate_goal))
            .floor(base.map(|base| base.rate)),
    ];
    figures.extend(cpu.figures(
        name,
        measured,
        Some(cpu_goal),
        base.map(|base| base.cpu_micros),
    ));
    figures.extend([
        Figure::new(format!("{name}.refused"), sent.refused as f64, "requests"),
        Figure::new(
            format!("{name}.lost"),
            (expected - taken.min(expected)) as f64,
            "deliveries",
        )
        .goal(Goal::AtMost(0.0)),
        Figure::new(
            format!("{name}.repeated"),
            (repeated + strange) as f64,
            "deliveries",
        )
        .goal(Goal::AtMost(0.0)),
    ]);
    Ok(figures)
}
