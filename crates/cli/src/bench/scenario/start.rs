//! How long a service takes from its start to being ready, on a migrated database.

use anyhow::Result;

use super::super::figure::{Figure, Goal};
use super::super::services::{Service, Setting};
use super::super::stage::Stage;

const STARTS: usize = 5;

pub(super) async fn run(stage: &Stage, setting: Option<&Setting>) -> Result<Vec<Figure>> {
    let Some(setting) = setting else {
        return Ok(Vec::new()); // The services were started by somebody else.
    };
    let mut figures = Vec::new();
    for name in ["ingest", "dispatcher"] {
        let mut times = Vec::new();
        for number in 1..=STARTS {
            stage
                .progress
                .say(format!("start: {name} ({number} of {STARTS})"));
            let mut service = Service::start(name, setting)?;
            times.push(service.ready().await?.as_secs_f64());
            service.stop().await?;
        }
        times.sort_by(f64::total_cmp);
        let slowest = times.last().copied().unwrap_or_default();
        figures.extend([
            Figure::new(format!("start.{name}"), times[STARTS / 2], "s").goal(Goal::AtMost(1.0)),
            Figure::new(format!("start.{name}.slowest"), slowest, "s"),
        ]);
    }
    Ok(figures)
}
