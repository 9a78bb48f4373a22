//! 200 events a second in an open loop: from the moment at which the request should have left to
//! its arrival at the receiver.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::super::figure::{Figure, Goal};
use super::super::floor::Floor;
use super::super::generator::OpenLoop;
use super::super::latency::Latencies;
use super::super::receiver::{Arrivals, Behaviour, BenchReceiver, Expected};
use super::super::stage::{Stage, endpoint, events};

const RATE: f64 = 200.0;
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) async fn run(stage: &Stage, floor: &Floor) -> Result<Vec<Figure>> {
    let tenant = stage.name("latency");
    stage.make_tenant(&tenant).await?;
    let load = OpenLoop {
        target: stage.events_target(&tenant)?,
        connections: 16,
        rate: RATE,
        duration: WARM_UP + stage.duration * 2,
        started: std::time::Instant::now(),
    };
    let count = load.count();
    let arrivals = Arc::new(Arrivals::new(Expected {
        behaviour: Behaviour::Take,
        prefix: tenant.clone(),
        events: count,
        endpoints: 1,
        window: None,
    }));
    let receiver = BenchReceiver::start(Arc::clone(&arrivals))?;
    stage
        .make_endpoints(&tenant, vec![endpoint(&receiver.url(0), "*")])
        .await?;
    stage.settle().await;

    stage.progress.say(format!(
        "latency200: open loop for {} s",
        load.duration.as_secs()
    ));
    let load = OpenLoop {
        started: arrivals.started(),
        ..load
    };
    let sent = load.run(events(&tenant, |_| "bench.t0".to_owned())).await?;
    let taken = arrivals
        .wait_for(sent.accepted as u64, Duration::from_secs(10))
        .await;

    let (mut latencies, mut answers) = (Latencies::new()?, Latencies::new()?);
    let counted_from = sent.intended.first().copied().unwrap_or_default() + WARM_UP;
    for (number, intended) in sent.intended.iter().enumerate() {
        if *intended >= counted_from
            && let Some(arrived) = arrivals.first(number, 0)
        {
            latencies.add(arrived.saturating_sub(*intended));
        }
    }
    sent.answered_after
        .iter()
        .for_each(|latency| answers.add(*latency));
    let base = floor.latency(RATE).await?;
    let mut figures = latencies.figures("latency200", Some(5.0), Some(15.0));
    if let Some(base) = base {
        let bases = [base.p50, base.p99];
        for (figure, base) in figures.iter_mut().zip(bases) {
            *figure = figure.clone().floor(Some(base));
        }
    }
    figures.push(Figure::new(
        "latency200.answer.p50",
        answers.millis(0.5),
        "ms",
    ));
    figures.push(Figure::new(
        "latency200.answer.p99",
        answers.millis(0.99),
        "ms",
    ));
    let lost = (sent.accepted as u64).saturating_sub(taken);
    figures.push(Figure::new("latency200.lost", lost as f64, "deliveries").goal(Goal::AtMost(0.0)));
    Ok(figures)
}
