//! The services under test, as real processes that may be killed, frozen and started again.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::Method;
use tokio::time::{Instant, sleep};

use crate::client;

/// How long a service may take to become ready: until the broker is back, too, which may take
/// minutes on a busy machine.
const READY: Duration = Duration::from_secs(180);
/// How long it may take to stop when asked to: its longest timeout, and some.
const STOP: Duration = Duration::from_secs(70);
const LOOK: Duration = Duration::from_millis(20);

/// What all services are started with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The folder of the programs.
    pub(crate) programs: PathBuf,
    /// The folder of the logs.
    pub(crate) logs: PathBuf,
    /// Environment variables.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    program: PathBuf,
    log: PathBuf,
    variables: Vec<(&'static str, String)>,
    /// Where its API listens, for ingest.
    pub(crate) port: u16,
    admin_port: u16,
    child: Option<Child>,
}

impl Service {
    /// Starts a program on these ports. `name` names its log.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(
        program: &str,
        name: &str,
        [port, admin_port]: [u16; 2],
        settings: &Settings,
    ) -> Result<Self> {
        let mut service = Self {
            program: settings.programs.join(program),
            log: settings.logs.join(format!("{name}.log")),
            variables: settings.variables.clone(),
            port,
            admin_port,
            child: None,
        };
        service.start_again()?;
        Ok(service)
    }

    /// Starts it after a kill or a stop.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name());
        self.child = Some(self.spawn()?);
        Ok(())
    }

    fn spawn(&self) -> Result<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("failed to write {}", self.log.display()))?;
        // Through setpriv, so that it does not outlive this program, however that ends.
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&self.program)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .env("SIGNPOST_LISTEN", format!("127.0.0.1:{}", self.port))
            .env(
                "SIGNPOST_ADMIN_LISTEN",
                format!("127.0.0.1:{}", self.admin_port),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {}", self.program.display()))
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// It has ended, or is not ready in time.
    pub(crate) async fn until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY;
        loop {
            if let Some(status) = self.try_wait()? {
                bail!(
                    "{} ended by itself ({status}):\n{}",
                    self.name(),
                    self.log_end()
                );
            }
            let patience = Duration::from_secs(1);
            let asked = client::send(
                self.admin_port,
                Method::GET,
                "/readyz",
                "",
                Bytes::new(),
                patience,
            );
            let said = match asked.await {
                Ok(reply) if reply.status == 200 => return Ok(()),
                Ok(reply) => String::from_utf8_lossy(&reply.body).into_owned(),
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                bail!("{} does not become ready: {said}", self.name());
            }
            sleep(LOOK).await;
        }
    }

    /// How it has ended, if it has.
    ///
    /// # Errors
    /// The operating system does not say.
    pub(crate) fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        Ok(match &mut self.child {
            Some(child) => child.try_wait()?,
            None => None,
        })
    }

    /// Deliveries that are under way in it, if it says so at once.
    pub(crate) async fn in_flight(&self) -> Option<u64> {
        let patience = Duration::from_millis(300);
        let asked = client::send(
            self.admin_port,
            Method::GET,
            "/metrics",
            "",
            Bytes::new(),
            patience,
        );
        let text = String::from_utf8(asked.await.ok()?.body.to_vec()).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("signpost_deliveries_in_flight "))?;
        line.trim().parse().ok()
    }

    /// Kills it without warning.
    ///
    /// # Errors
    /// The operating system refuses.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// It does not end in time (then it is killed), or not well.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.signal("TERM")?;
        let asked = Instant::now();
        loop {
            if let Some(status) = self.try_wait()? {
                self.child = None;
                ensure!(status.success(), "{} stopped with {status}", self.name());
                return Ok(());
            }
            if asked.elapsed() > STOP {
                self.kill()?;
                bail!("{} did not stop within {} s", self.name(), STOP.as_secs());
            }
            sleep(LOOK).await;
        }
    }

    /// Sends a signal by name.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let child = self.child.as_ref().context("it does not run")?;
        let status = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status()
            .context("failed to run kill")?;
        ensure!(status.success(), "{} is gone", self.name());
        Ok(())
    }

    fn name(&self) -> String {
        let name = self.log.file_stem().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn log_end(&self) -> String {
        end_of(&self.log)
    }
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.kill());
    }
}
