//! Do healthy endpoints notice that others hang? 300 events a second to 200 endpoints, first with
//! all of them healthy, then with a fifth of them taking requests and never answering.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::super::figure::{Figure, Goal};
use super::super::generator::OpenLoop;
use super::super::latency::Latencies;
use super::super::receiver::{Arrivals, Behaviour, BenchReceiver, Expected};
use super::super::stage::{Stage, endpoint, events};

const RATE: f64 = 300.0;
const ENDPOINTS: usize = 200;
/// Every fifth endpoint hangs.
const HANGING: usize = 5;
/// Before anything counts: long enough for the first requests to time out.
const WARM_UP: Duration = Duration::from_secs(3);

pub(super) async fn run(stage: &Stage) -> Result<Vec<Figure>> {
    let (control, _) = measure(stage, "control", false).await?;
    let (hanging, lost) = measure(stage, "hanging", true).await?;
    let mut figures = vec![
        Figure::new("neighbours.control.p50", control.millis(0.5), "ms"),
        Figure::new("neighbours.control.p99", control.millis(0.99), "ms"),
    ];
    figures.extend(hanging.figures("neighbours", None, Some(250.0)));
    let ratio = hanging.millis(0.99) / control.millis(0.99).max(0.001);
    figures.push(Figure::new("neighbours.p99_to_control", ratio, "times").goal(Goal::AtMost(1.5)));
    figures.push(Figure::new("neighbours.lost", lost, "deliveries").goal(Goal::AtMost(0.0)));
    Ok(figures)
}

/// Latencies of the healthy endpoints, and how many of their deliveries did not come.
async fn measure(stage: &Stage, name: &str, with_hanging: bool) -> Result<(Latencies, f64)> {
    let tenant = stage.name(name);
    stage.make_tenant(&tenant).await?;
    let load = OpenLoop {
        target: stage.events_target(&tenant)?,
        connections: 16,
        rate: RATE,
        duration: WARM_UP + stage.duration * 2,
        started: std::time::Instant::now(),
    };
    let arrivals = Arc::new(Arrivals::new(Expected {
        behaviour: Behaviour::Take,
        prefix: tenant.clone(),
        events: load.count(),
        endpoints: 1,
        window: None,
    }));
    let receiver = BenchReceiver::start(Arc::clone(&arrivals))?;
    let hangs = |number: usize| with_hanging && number.is_multiple_of(HANGING);
    let endpoints = (0..ENDPOINTS).map(|number| {
        let url = if hangs(number) {
            receiver.hanging_url(number)
        } else {
            receiver.url(number)
        };
        endpoint(&url, &format!("bench.t{number}"))
    });
    stage.make_endpoints(&tenant, endpoints.collect()).await?;
    stage.settle().await;
    stage.progress.say(format!(
        "neighbours, {name}: open loop for {} s",
        load.duration.as_secs()
    ));
    let load = OpenLoop {
        started: arrivals.started(),
        ..load
    };
    let sent = load
        .run(events(&tenant, |number| {
            format!("bench.t{}", number % ENDPOINTS)
        }))
        .await?;
    let healthy = |number: &usize| !hangs(number % ENDPOINTS);
    let expected = (0..sent.intended.len()).filter(healthy).count() as u64;
    let taken = arrivals.wait_for(expected, Duration::from_secs(5)).await;
    let counted_from = sent.intended.first().copied().unwrap_or_default() + WARM_UP;
    let mut latencies = Latencies::new()?;
    for number in (0..sent.intended.len()).filter(healthy) {
        let intended = sent.intended[number];
        if intended >= counted_from
            && let Some(arrived) = arrivals.first(number, 0)
        {
            latencies.add(arrived.saturating_sub(intended));
        }
    }
    let lost = u32::try_from(expected.saturating_sub(taken)).unwrap_or(u32::MAX);
    Ok((latencies, f64::from(lost)))
}
