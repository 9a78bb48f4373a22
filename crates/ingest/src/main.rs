//! `signpost-ingest`: reads the configuration, runs the service, sets the exit code: 0 for a stop
//! that was asked for, 1 for a failure, 2 for a bad configuration.

use std::{fmt::Display, net::SocketAddr, process::ExitCode};

use clap::Parser;
use signpost_ingest::{Args, Listeners, run};
use signpost_runtime::{Lifecycle, Stopped, error_chain, lifecycle::Signals, telemetry};
use tokio::net::TcpListener;

/// Many small allocations from several threads: the system's allocator took a tenth of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Args::parse().check() {
        Ok(config) => config,
        Err(errors) => return complain(errors, 2),
    };
    if let Err(error) = telemetry::init(&config.log, config.log_format) {
        return complain(error_chain(&error), 2);
    }
    config.log_effective();
    let listeners = match (bind(config.listen).await, bind(config.admin_listen).await) {
        (Ok(api), Ok(admin)) => Listeners { api, admin },
        (Err(error), _) => return complain(format!("{error}; set SIGNPOST_LISTEN"), 1),
        (_, Err(error)) => return complain(format!("{error}; set SIGNPOST_ADMIN_LISTEN"), 1),
    };
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return complain(format!("cannot handle signals: {error}"), 1),
    };
    let lifecycle = Lifecycle::new();
    let running = match run(&config, listeners, &lifecycle) {
        Ok(running) => running,
        Err(error) => return complain(error_chain(&error), error.exit_code()),
    };
    let stopped = lifecycle.wait(signals, config.stop_grace).await;
    if let Some(error) = running.failure() {
        return complain(error_chain(error), error.exit_code());
    }
    match stopped {
        Stopped::Cleanly => ExitCode::SUCCESS,
        Stopped::Forced | Stopped::Panicked => ExitCode::FAILURE,
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| format!("cannot listen on {address}: {error}"))
}

#[expect(
    clippy::print_stderr,
    reason = "logging may not have started, and a person must see this"
)]
fn complain(problem: impl Display, code: u8) -> ExitCode {
    eprintln!("signpost-ingest: {problem}");
    ExitCode::from(code)
}
