//! `signpost-dispatcher`: reads the configuration, runs the service, sets the exit code: 0 for a
//! stop that was asked for, 1 for a failure, 2 for a bad configuration.

use std::process::ExitCode;

use clap::Parser;
use signpost_dispatcher::{Args, run};
use signpost_runtime::{Lifecycle, Stopped, error_chain, lifecycle::Signals, telemetry};
use tokio::net::TcpListener;

/// Many small allocations from several threads: the system's allocator took a tenth of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Args::parse().check() {
        Ok(config) => config,
        Err(problems) => return complain(problems.iter(), 2),
    };
    if let Err(error) = telemetry::init(&config.log, config.log_format) {
        return complain([error_chain(&error)], 2);
    }
    let admin = match TcpListener::bind(config.admin_listen).await {
        Ok(admin) => admin,
        Err(error) => {
            let hint = "set SIGNPOST_ADMIN_LISTEN to a free address";
            return complain(
                [format!(
                    "cannot listen on {}: {error}; {hint}",
                    config.admin_listen
                )],
                1,
            );
        }
    };
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return complain([format!("cannot handle signals: {error}")], 1),
    };
    tracing::info!(?config, "starting");
    let lifecycle = Lifecycle::new();
    let grace = config.grace;
    if let Err(error) = run(config, admin, lifecycle.clone()) {
        return complain([error_chain(&error)], 2);
    }
    match lifecycle.wait(signals, grace).await {
        Stopped::Cleanly => ExitCode::SUCCESS,
        Stopped::Forced | Stopped::Panicked => ExitCode::FAILURE,
    }
}

#[expect(
    clippy::print_stderr,
    reason = "logging may not have started, and a person must see this"
)]
fn complain(problems: impl IntoIterator<Item = impl std::fmt::Display>, code: u8) -> ExitCode {
    for problem in problems {
        eprintln!("signpost-dispatcher: {problem}");
    }
    ExitCode::from(code)
}
