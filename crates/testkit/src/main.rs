//! `signpost-testkit instances --dir DIR`: private servers for `./dev`, until told to stop.
//!
//! Prints the variables that name them, writes the same to `DIR/env`, and stays until SIGTERM,
//! SIGINT or, with `--watch-stdin`, the end of its standard input. Leaves nothing running.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use signpost_testkit::{Instances, PostgresOptions, Which};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: signpost-testkit instances --dir DIR [--only postgres|rabbitmq] [--no-fsync] [--watch-stdin]";

struct Arguments {
    dir: PathBuf,
    which: Which,
    options: PostgresOptions,
    watches_stdin: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match read_arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error:#}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn read_arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
    if words.next().as_deref() != Some("instances") {
        bail!("the one command is `instances`");
    }
    let (mut dir, mut which, mut is_durable, mut watches_stdin) = (None, Which::Both, true, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--dir" => dir = Some(words.next().context("--dir needs a folder")?),
            "--only" => {
                which = match words.next().as_deref() {
                    Some("postgres") => Which::Postgres,
                    Some("rabbitmq") => Which::Rabbit,
                    _ => bail!("--only takes postgres or rabbitmq"),
                }
            }
            "--no-fsync" => is_durable = false,
            "--watch-stdin" => watches_stdin = true,
            other => bail!("{other} is not known"),
        }
    }
    let dir = PathBuf::from(dir.context("--dir is needed")?);
    Ok(Arguments {
        dir,
        which,
        options: PostgresOptions { is_durable },
        watches_stdin,
    })
}

async fn run(arguments: Arguments) -> Result<()> {
    // Before the servers start, so that an early signal finds us ready to stop them.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked_to_stop = async {
        // Cancel-safe: the first one ends the wait for good.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = end_of_input(), if arguments.watches_stdin => {}
        }
    };
    tokio::pin!(asked_to_stop);
    let start = Instances::start(&arguments.dir, arguments.which, arguments.options);
    // Cancel-safe: giving up a half-done start kills what has been started.
    let instances = tokio::select! {
        instances = start => instances?,
        () = &mut asked_to_stop => return Ok(()),
    };
    let text = instances.environment().join("\n") + "\n";
    // Written to a side file and renamed: a reader sees all of it or nothing.
    let (draft, file) = (arguments.dir.join("env.new"), arguments.dir.join("env"));
    std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?
        .write_all(text.as_bytes())?;
    std::fs::rename(&draft, &file)?;
    std::io::stdout().write_all(text.as_bytes())?;
    asked_to_stop.await;
    std::fs::remove_file(&file)?;
    instances.stop().await
}

async fn end_of_input() {
    let mut input = tokio::io::stdin();
    let mut buffer = [0; 256];
    while let Ok(1..) = input.read(&mut buffer).await {}
}
