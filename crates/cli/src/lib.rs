//! The `signpost` command: a client of the API, and local tools around webhooks.
//!
//! `main.rs` calls [`run`] with the process's arguments, environment and streams; tests call it
//! with their own. Commands are in [`commands`], one file per word of the API; the local tools
//! [`listen`], [`verify`](mod@verify), [`demo`], [`doctor`] and [`bench`](mod@bench) have a module each.
//!
//! Standard output is data, standard error is talk. Nothing here prints a secret that was not
//! asked for.

pub mod amqp;
pub mod args;
pub mod bench;
pub mod client;
pub mod commands;
pub mod config;
pub mod database;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod example;
pub mod listen;
pub mod output;
pub mod receive;
pub mod verify;

use std::ffi::OsString;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser as _};
use signpost_domain::Clock;

use crate::args::{Cli, Command};
use crate::client::Client;
use crate::commands::App;
use crate::config::Environment;
use crate::error::{CliError, Exit, Result};
use crate::output::{Output, Tone};

/// The command line's grammar, for completions and for tests of the help texts.
pub fn grammar() -> clap::Command {
    Cli::command()
}

/// Whether these arguments ask for something that goes on until it is told to stop, so that
/// Ctrl-C is its good end.
pub fn is_endless(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> bool {
    Cli::try_parse_from(args).is_ok_and(|cli| {
        matches!(
            cli.command,
            Command::Listen(_) | Command::Deliveries(commands::deliveries::Command::Tail(_))
        )
    })
}

/// Does what `args` (the program's name first) ask for.
pub async fn run(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    env: &Environment,
    output: &mut Output,
    clock: Arc<dyn Clock>,
) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return show_usage(&error, output),
    };
    output.set_modes(cli.global.json, cli.global.quiet);
    let Err(error) = execute(cli, env, output, clock).await else {
        return Exit::Ok;
    };
    let exit = error.exit();
    if exit != Exit::Ok && show_error(&error, output).is_err() {
        return Exit::Failure;
    }
    exit
}

async fn execute(
    cli: Cli,
    env: &Environment,
    output: &mut Output,
    clock: Arc<dyn Clock>,
) -> Result<()> {
    match cli.command {
        Command::Listen(command) => return command.run(output, &*clock).await,
        Command::Verify(command) => return command.run(output, &*clock),
        Command::Completions(command) => return command.run(output),
        Command::Config(command) => return command.run(&cli.global, env, output),
        Command::Bench(bench) => return bench.run(&cli.global, env, output).await,
        Command::Doctor(doctor) => return doctor.run(&cli.global, env, output, clock).await,
        Command::Secrets(commands::secrets::Command::Reencrypt(command)) => {
            return command.run(env, output).await;
        }
        _ => {}
    }
    let connection = config::resolve(&cli.global, env)?;
    if let Command::Demo(demo) = cli.command {
        let tools = demo::Tools {
            client: &Client::new(&connection)?,
            tenant: cli.global.tenant,
            out: output,
            env,
            clock,
        };
        return demo.run(tools).await;
    }
    let mut app = App {
        client: Client::new(&connection)?,
        tenant: connection.tenant,
        idempotency_key: cli.global.idempotency_key,
        out: output,
        clock,
    };
    match cli.command {
        Command::Tenants(command) => command.run(&mut app).await,
        Command::Keys(command) => command.run(&mut app).await,
        Command::Endpoints(command) => command.run(&mut app).await,
        Command::Secrets(command) => command.run(&mut app).await,
        Command::Events(command) => command.run(&mut app).await,
        Command::Deliveries(command) => command.run(&mut app).await,
        Command::EventTypes(command) => command.run(&mut app).await,
        Command::Profiles(command) => command.run(&mut app).await,
        Command::Rejected(command) => command.run(&mut app).await,
        Command::Stats(command) => command.run(&mut app).await,
        // Done above.
        Command::Listen(_)
        | Command::Verify(_)
        | Command::Demo(_)
        | Command::Doctor(_)
        | Command::Bench(_)
        | Command::Completions(_)
        | Command::Config(_) => Ok(()),
    }
}

fn show_usage(error: &clap::Error, output: &mut Output) -> Exit {
    let text = error.render();
    let text = if output.has_color() {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    let (shown, exit) = if error.use_stderr() {
        (output.complain(text.trim_end()), Exit::Usage)
    } else {
        (output.line(text.trim_end()), Exit::Ok)
    };
    match shown {
        Ok(()) | Err(CliError::OutputClosed) => exit,
        Err(_) => Exit::Failure,
    }
}

/// One place where errors are said. With `--json` a problem document is passed on as it is.
fn show_error(error: &CliError, output: &mut Output) -> Result<()> {
    if output.is_json()
        && let CliError::Problem(problem) = error
        && let Some(document) = &problem.document
    {
        return output.complain(document);
    }
    let word = output.paint(Tone::Bad, "error:");
    output.complain(format!("{word} {error}"))
}
