//! Child processes that end when this process ends, however it ends.
//!
//! Used for every server that the test kit starts. The kernel's "parent death signal" does the
//! work, set by util-linux' `setpriv`, so that even `kill -9` of a test leaves no server behind.
//! That signal is sent when the *thread* that started the child ends, so all children are started
//! from one thread that never ends.

use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

type Order = (Command, Sender<io::Result<Child>>);

/// Starts `program` through `setpriv`, which asks the kernel to send `signal` to it when this
/// process ends. `setpriv` becomes the program (`exec`), so the child's process id is the
/// program's own.
pub(crate) fn command_that_dies_with_us(
    signal: &str,
    program: impl AsRef<std::ffi::OsStr>,
) -> Command {
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--pdeathsig={signal}"))
        .arg("--")
        .arg(program);
    command
}

/// Runs the command from the thread that outlives all others.
pub(crate) fn spawn(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                // The asker waits below, so nobody is there only when its thread has died.
                drop(answer.send(command.spawn()));
            }
        });
        sender
    });
    let what = describe(&command);
    let (answer, child) = channel();
    spawner
        .send((command, answer))
        .map_err(|error| anyhow!("the spawner thread is gone: {error}"))?;
    child
        .recv()
        .context("the spawner thread is gone")?
        .with_context(|| format!("failed to start {what}"))
}

/// Sends a signal (`INT`, `TERM`, `QUIT`, `STOP`, …) to a process by its id.
pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .stderr(Stdio::null())
        .status()
        .context("failed to run sh")?;
    anyhow::ensure!(status.success(), "process {pid} is gone");
    Ok(())
}

/// Asks the child to end with `name`, and kills it when it has not ended after `patience`.
pub(crate) fn stop(child: &mut Child, name: &str, patience: Duration) -> Result<()> {
    if child.try_wait()?.is_none() && signal(child.id(), name).is_ok() {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    kill(child)
}

/// Ends the child at once (`SIGKILL`) and waits until it is gone.
pub(crate) fn kill(child: &mut Child) -> Result<()> {
    if child.try_wait()?.is_none() {
        child.kill()?;
    }
    child.wait()?;
    Ok(())
}

/// Runs a short command to its end and gives its standard output.
///
/// # Errors
/// It cannot be started or ends with a failure; the error holds what it wrote.
pub(crate) fn run(mut command: Command) -> Result<String> {
    let what = describe(&command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start {what}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{what} failed ({}): {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// The command as one would type it, for an error message.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
