//! `signpost-chaos`: runs the soak test and says what came of it. Exit code 0: every promise was
//! kept; 1: one was broken, or the test could not be made; 2: wrong arguments.

use std::{io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use signpost_chaos::{Plan, run, wiped};

/// For 50,000 deliveries and as many as 100,000.
const WIPED_GOAL: Duration = Duration::from_secs(120);

/// Publishes events to a whole Signpost while its processes, its broker and its database are
/// killed, frozen and restarted; then checks that nothing was lost, doubled or mixed up.
///
/// It starts servers of its own. The same seed has the same events and the same faults.
#[derive(Debug, Parser)]
#[command(name = "signpost-chaos", version, max_term_width = 100)]
struct Args {
    /// How long events are published.
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Chooses events, answers and faults.
    #[arg(long, default_value_t = 7, value_name = "N")]
    seed: u64,
    /// Events per second; every seventh goes over AMQP.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    events_per_second: u32,
    /// Endpoints of each of the three tenants.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    endpoints: u16,
    /// Seconds between two faults; 0 for none.
    #[arg(long, default_value_t = 3, value_name = "N")]
    fault_every: u64,
    /// Instead of all that: the broker loses everything while N deliveries are due; says how long
    /// it takes until they are published again, and until they have arrived.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    wiped: Option<u32>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Keep the logs even if nothing is wrong.
    #[arg(long)]
    keep: bool,
    /// The folder of signpost-ingest and signpost-dispatcher [default: this program's].
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match start(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // There is nobody else to tell.
            drop(writeln!(std::io::stderr(), "signpost-chaos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn start(args: Args) -> Result<bool> {
    let programs = if let Some(folder) = args.bin {
        folder
    } else {
        let own = std::env::current_exe().context("this program does not know where it is")?;
        own.parent().context("it is in no folder")?.to_owned()
    };
    for name in ["signpost-ingest", "signpost-dispatcher"] {
        ensure!(
            programs.join(name).exists(),
            "{name} is not in {}: build it, or name its folder with --bin",
            programs.display()
        );
    }
    if let Some(deliveries) = args.wiped {
        let restored = wiped(&programs, deliveries as usize).await?;
        writeln!(std::io::stdout(), "{restored}")?;
        return Ok(restored.published <= WIPED_GOAL);
    }
    let plan = Plan {
        seed: args.seed,
        length: Duration::from_secs(args.seconds),
        events_per_second: args.events_per_second,
        endpoints: args.endpoints.into(),
        fault_every: Duration::from_secs(args.fault_every),
        programs,
        keep: args.keep,
    };
    let report = run(&plan).await?;
    let shown = if args.json {
        report.json()?
    } else {
        report.text()
    };
    writeln!(std::io::stdout(), "{shown}")?;
    Ok(report.is_good())
}
