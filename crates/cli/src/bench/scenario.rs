//! The scenarios: one per row of the table of goals, one file each.

mod backlog;
mod batch_ingest;
mod closed;
mod directory;
mod latency;
mod neighbours;
mod retries;
mod start;

use anyhow::Result;
use clap::ValueEnum;

use super::figure::Figure;
use super::floor::Floor;
use super::services::Setting;
use super::stage::Stage;

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// How long the services take to be ready
    Start,
    /// One endpoint per event, closed loop
    Single,
    /// Ten endpoints per event, closed loop
    Fanout10,
    /// 200 events a second, open loop: from request to receiver
    Latency200,
    /// A fifth of 200 endpoints hanging at 300 events a second: what the others notice
    Neighbours,
    /// Batches of 100 events
    BatchIngest,
    /// Deliveries that fail once, on a tier of 1 s
    Retries,
    /// 100,000 endpoints: memory, changes, matching
    Directory,
    /// A million deliveries that wait for a receiver that is down, and their end
    Backlog,
}

impl Scenario {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 9] = [
        Self::Start,
        Self::Single,
        Self::Fanout10,
        Self::Latency200,
        Self::Neighbours,
        Self::BatchIngest,
        Self::Retries,
        Self::Directory,
        Self::Backlog,
    ];

    /// Runs it. `setting` is there where the benchmark started the services itself.
    ///
    /// # Errors
    /// It could not be set up or measured; a goal that is missed is no error.
    pub async fn run(
        self,
        stage: &Stage,
        floor: &Floor,
        setting: Option<&Setting>,
    ) -> Result<Vec<Figure>> {
        match self {
            Self::Start => start::run(stage, setting).await,
            Self::Single => closed::run(stage, &closed::SINGLE, floor).await,
            Self::Fanout10 => closed::run(stage, &closed::FANOUT10, floor).await,
            Self::Latency200 => latency::run(stage, floor).await,
            Self::Neighbours => neighbours::run(stage).await,
            Self::BatchIngest => batch_ingest::run(stage, floor).await,
            Self::Retries => retries::run(stage, floor).await,
            Self::Directory => directory::run(stage, floor).await,
            Self::Backlog => backlog::run(stage, floor).await,
        }
    }
}
