//! `signpost`: reads arguments and environment, runs the command, gives the exit code.
//!
//! A signal drops the command where it stands, so that what it started (a benchmark's services)
//! ends with it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use signpost_cli::config::Environment;
use signpost_cli::error::Exit;
use signpost_cli::output::Output;
use signpost_domain::SystemClock;
use signpost_runtime::Lifecycle;
use signpost_runtime::lifecycle::Signals;

/// The exit code of a command that was interrupted, as shells have it: 128 and SIGINT's number.
const INTERRUPTED: u8 = 130;
/// How long an interrupted command may take to let go of what it holds.
const LET_GO: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        return ExitCode::from(Exit::Failure as u8);
    };
    let code = runtime.block_on(run());
    // A thread that waits for standard input would hold up an ordinary end.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn run() -> u8 {
    let env = Environment::of_process();
    let mut output = Output::of_process(&env);
    let Ok(signals) = Signals::install() else {
        return Exit::Failure as u8;
    };
    let lifecycle = Lifecycle::new();
    let args: Vec<_> = std::env::args_os().collect();
    let mut command = tokio::spawn(async move {
        signpost_cli::run(args, &env, &mut output, Arc::new(SystemClock)).await
    });
    tokio::select! {
        // A command that panicked has said so.
        ended = &mut command => ended.unwrap_or(Exit::Failure) as u8,
        // Cancel-safe: whichever is first ends the process.
        _ = lifecycle.wait(signals, Duration::ZERO) => {
            command.abort();
            drop(tokio::time::timeout(LET_GO, command).await);
            if signpost_cli::is_endless(std::env::args_os()) {
                Exit::Ok as u8
            } else {
                INTERRUPTED
            }
        }
    }
}
