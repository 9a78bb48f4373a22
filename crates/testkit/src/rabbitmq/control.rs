//! Commands to a private broker, from the process that started it or from another one.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::child;

/// How to reach a private broker: its port, password, cookie and name server.
#[derive(Clone, Serialize, Deserialize)]
pub struct RabbitControl {
    pub(super) bin: PathBuf,
    /// Its name in Erlang.
    pub(super) node: String,
    pub(super) home: PathBuf,
    pub(super) cookie: String,
    pub(super) password: String,
    pub(super) amqp_port: u16,
    pub(super) epmd_port: u16,
}

impl std::fmt::Debug for RabbitControl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RabbitControl")
            .field("home", &self.home)
            .field("amqp_port", &self.amqp_port)
            .finish_non_exhaustive()
    }
}

impl RabbitControl {
    /// Reads what [`PrivateRabbit`](crate::PrivateRabbit) left in its folder.
    ///
    /// # Errors
    /// No broker was started there.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("control.json");
        let text = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join("control.json");
        fs::write(&path, serde_json::to_vec(self)?)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// The URL of a vhost.
    pub fn url(&self, vhost: &str) -> String {
        let vhost = vhost.replace('/', "%2f");
        format!(
            "amqp://signpost:{}@127.0.0.1:{}/{vhost}",
            self.password, self.amqp_port
        )
    }

    /// Runs `rabbitmqctl` (about 0.6 s) and gives its output.
    ///
    /// # Errors
    /// The broker is down or refuses; the error holds what `rabbitmqctl` printed.
    pub async fn rabbitmqctl(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(self.bin.join("rabbitmqctl"));
        self.environment(&mut command);
        command.args(["--quiet", "--node", &self.node]).args(args);
        tokio::task::spawn_blocking(move || child::run(command)).await?
    }

    /// Runs an Erlang expression in the broker (a few ms) and gives its value as text. For what
    /// `rabbitmqctl` is too slow for.
    ///
    /// # Errors
    /// The broker is down or the expression fails.
    pub async fn eval(&self, expression: &str) -> Result<String> {
        let (control, expression) = (self.clone(), expression.to_owned());
        tokio::task::spawn_blocking(move || control.eval_blocking(&expression)).await?
    }

    pub(super) fn eval_blocking(&self, expression: &str) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // A name of its own for each call: the broker refuses a second node of the same name, and
        // erl_call's own random names repeat within a second.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ctl-{}-{number}", std::process::id());
        let mut command = Command::new("erl_call");
        self.environment(&mut command);
        command
            .args([
                "-h",
                &name,
                "-sname",
                &self.node,
                "-c",
                &self.cookie,
                "-timeout",
                "60",
                "-e",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().context("failed to start erl_call")?;
        if let Some(mut input) = process.stdin.take() {
            writeln!(input, "{expression}")?;
        }
        let output = process.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = text
            .strip_prefix("{ok, ")
            .and_then(|text| text.strip_suffix('}'));
        ensure!(
            output.status.success() && value.is_some(),
            "{expression} failed: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(value.unwrap_or_default().to_owned())
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("HOME", &self.home)
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env(
                "RABBITMQ_CONF_ENV_FILE",
                self.home.join("no-rabbitmq-env.conf"),
            );
    }
}
