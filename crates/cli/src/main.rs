//! `signpost`: reads arguments and environment, runs the command, gives the exit code.

use std::process::ExitCode;
use std::sync::Arc;

use signpost_cli::config::Environment;
use signpost_cli::output::Output;
use signpost_domain::SystemClock;

#[tokio::main]
async fn main() -> ExitCode {
    let env = Environment::of_process();
    let mut output = Output::of_process(&env);
    let exit = signpost_cli::run(
        std::env::args_os(),
        &env,
        &mut output,
        Arc::new(SystemClock),
    );
    ExitCode::from(exit.await as u8)
}
