//! The services under test: started by the benchmark from the folder this program is in, or
//! running already.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use rand::RngExt as _;
use signpost_testkit::free_ports;
use url::Url;

use super::processes::Watched;
use crate::client::Transport;

/// How long a service may take to become ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a service may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(70);

/// What the services are started with.
#[derive(Clone)]
pub struct Setting {
    /// RabbitMQ.
    pub amqp: String,
    /// PostgreSQL.
    pub database: String,
    /// The admin key.
    pub key: String,
    master_keys: String,
    binaries: PathBuf,
    logs: PathBuf,
}

impl Setting {
    /// A setting with a new admin key; the programs lie beside this one. `master_keys` are those
    /// of a database that was used before; without, new ones are made.
    ///
    /// # Errors
    /// The programs are not there.
    pub fn new(amqp: String, database: String, master_keys: Option<String>) -> Result<Self> {
        let own = std::env::current_exe().context("this program does not know where it is")?;
        let binaries = own.parent().map(Path::to_path_buf).unwrap_or_default();
        for name in ["signpost-ingest", "signpost-dispatcher"] {
            if !binaries.join(name).exists() {
                bail!(
                    "{name} is not in {}: build it (cargo build --release), or name a running \
                     server with --server",
                    binaries.display()
                );
            }
        }
        let logs = std::env::temp_dir().join(format!("signpost-bench-{}", std::process::id()));
        std::fs::create_dir_all(&logs)
            .with_context(|| format!("failed to create {}", logs.display()))?;
        let mut rng = rand::rng();
        Ok(Self {
            amqp,
            database,
            key: hex::encode(rng.random::<[u8; 16]>()),
            master_keys: master_keys
                .unwrap_or_else(|| format!("bench:{}", STANDARD.encode(rng.random::<[u8; 32]>()))),
            binaries,
            logs,
        })
    }
}

impl Setting {
    /// Removes the services' logs, once all has gone well.
    pub fn remove_logs(&self) {
        // What cannot be removed from the folder for temporary files harms nobody.
        drop(std::fs::remove_dir_all(&self.logs));
    }
}

/// A service that the benchmark started; it is killed when dropped.
#[derive(Debug)]
pub struct Service {
    /// `ingest` or `dispatcher`.
    pub name: &'static str,
    child: Child,
    /// Where its API is, for ingest.
    pub server: Url,
    admin: Url,
    log: PathBuf,
    began: Instant,
}

impl Service {
    /// Starts `signpost-NAME` on free ports.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &'static str, setting: &Setting) -> Result<Self> {
        let [listen, admin] = free_ports::<2>()?;
        let log = setting.logs.join(format!("{name}-{admin}.log"));
        let output =
            File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
        let program = setting.binaries.join(format!("signpost-{name}"));
        let began = Instant::now();
        let child = Command::new(&program)
            .env("SIGNPOST_AMQP_URL", &setting.amqp)
            .env("SIGNPOST_DATABASE_URL", &setting.database)
            .env("SIGNPOST_ADMIN_KEY", &setting.key)
            .env("SIGNPOST_MASTER_KEYS", &setting.master_keys)
            .env("SIGNPOST_LISTEN", format!("127.0.0.1:{listen}"))
            .env("SIGNPOST_ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
            .env("SIGNPOST_EGRESS_ALLOW", "127.0.0.0/8")
            .env("SIGNPOST_EGRESS_HTTPS_ONLY", "false")
            .env("SIGNPOST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        Ok(Self {
            name,
            child,
            server: Url::parse(&format!("http://127.0.0.1:{listen}"))?,
            admin: Url::parse(&format!("http://127.0.0.1:{admin}/readyz"))?,
            log,
            began,
        })
    }

    /// Waits until it is ready, and gives how long that took from its start.
    ///
    /// # Errors
    /// It has ended, or is not ready in time; the error holds the end of its log.
    pub async fn ready(&mut self) -> Result<Duration> {
        let transport = Transport::default();
        loop {
            let request = Request::new(Bytes::new());
            let answer = transport
                .send(&self.admin, request, Duration::from_secs(1))
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(self.began.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} has ended ({status}):\n{}", self.name, self.end_of_log());
            }
            if self.began.elapsed() > PATIENCE {
                bail!(
                    "{} does not become ready:\n{}",
                    self.name,
                    self.end_of_log()
                );
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The process to measure.
    pub fn watched(&self) -> Watched {
        Watched {
            name: self.name.to_owned(),
            pid: self.child.id(),
        }
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// It does not end, or ends with a failure.
    pub async fn stop(mut self) -> Result<()> {
        let kill = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        if !kill.context("failed to run kill")?.success() {
            bail!("{} had ended before:\n{}", self.name, self.end_of_log());
        }
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("{} ended with {status}:\n{}", self.name, self.end_of_log());
            }
            if asked.elapsed() > STOP_PATIENCE {
                bail!("{} does not stop", self.name);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn end_of_log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself; the wait keeps no zombie.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The server of a URL on this machine, found by its port.
pub fn watch_server(name: &str, url: &str, default_port: u16) -> Option<Watched> {
    let url = Url::parse(url).ok()?;
    let is_here = matches!(url.host_str()?, "127.0.0.1" | "localhost" | "[::1]");
    let port = url.port_or_known_default().unwrap_or(default_port);
    let pid = super::processes::find_listener(port).filter(|_| is_here)?;
    Some(Watched {
        name: name.to_owned(),
        pid,
    })
}
