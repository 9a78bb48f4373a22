//! A private PostgreSQL from the system's packages, and an empty database for each test.
//!
//! Databases are made with PostgreSQL's own programs; only the `store` crate speaks SQL through a
//! library.

mod cluster;
mod database;
mod programs;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::child;
use crate::ports::free_port;
use cluster::Cluster;
pub use database::Database;
pub(crate) use database::create_database;

/// How a private PostgreSQL is run.
#[derive(Debug, Clone, Copy)]
pub struct PostgresOptions {
    /// Whether commits reach the disk, as in production (`true`, the default). `false` is faster
    /// and right for tests that do not crash the operating system; `kill -9` loses nothing then either.
    pub is_durable: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { is_durable: true }
    }
}

/// A PostgreSQL server of our own on a free port of 127.0.0.1. It is killed when this value is
/// dropped and when this process ends, however it ends.
///
/// Role `signpost` (may create databases, is no superuser) owns the database `signpost`.
#[derive(Debug)]
pub struct PrivatePostgres {
    server: Arc<Mutex<Server>>,
    cluster: Cluster,
    port: u16,
}

impl PrivatePostgres {
    /// Creates a cluster in `dir` and starts it. Data that `dir` already holds is used again.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start; the error holds the end of its log.
    pub async fn start(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::start_with(dir, PostgresOptions::default()).await
    }

    /// As [`start`](Self::start), with options.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(dir: impl Into<PathBuf>, options: PostgresOptions) -> Result<Self> {
        let dir = dir.into();
        tokio::task::spawn_blocking(move || Self::start_blocking(dir, options)).await?
    }

    pub(crate) fn start_blocking(dir: PathBuf, options: PostgresOptions) -> Result<Self> {
        let cluster = Cluster::create(dir)?;
        let mut tries = 3;
        loop {
            let port = free_port()?;
            let mut server = Server {
                cluster: cluster.clone(),
                port,
                options,
                child: None,
            };
            match server.run() {
                Ok(()) => {
                    return Ok(Self {
                        server: Arc::new(Mutex::new(server)),
                        cluster,
                        port,
                    });
                }
                // Somebody else took the port between the choice and the start.
                Err(error) if tries > 1 && format!("{error:#}").contains("in use") => tries -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The database `signpost`, as the role `signpost`.
    pub fn url(&self) -> String {
        self.cluster.url("signpost", self.port, "signpost")
    }

    /// The database `postgres`, as the superuser.
    pub fn superuser_url(&self) -> String {
        self.cluster.url("postgres", self.port, "postgres")
    }

    /// The server's port on 127.0.0.1; it stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        lock(&self.server).child.as_ref().map(Child::id)
    }

    /// A new, empty database owned by the role `signpost`.
    ///
    /// # Errors
    /// The server is down.
    pub async fn database(&self) -> Result<Database> {
        create_database(self.url()).await
    }

    /// Runs SQL as the superuser and gives what `psql` prints, unaligned and without headings.
    ///
    /// # Errors
    /// The server is down or the SQL is wrong.
    pub async fn psql(&self, sql: &str) -> Result<String> {
        let (url, sql) = (self.superuser_url(), sql.to_owned());
        tokio::task::spawn_blocking(move || programs::psql(&url, &sql)).await?
    }

    /// Kills the server at once, as a power cut would (`SIGKILL`).
    ///
    /// # Errors
    /// The operating system refuses.
    pub async fn kill(&self) -> Result<()> {
        self.act(Server::kill).await
    }

    /// Stops the server; open sessions are cut ("fast" shutdown).
    ///
    /// # Errors
    /// The operating system refuses.
    pub async fn stop(&self) -> Result<()> {
        self.act(Server::stop).await
    }

    /// Starts the server again after [`kill`](Self::kill) or [`stop`](Self::stop), on the same
    /// port and data; returns once it answers.
    ///
    /// # Errors
    /// It does not start; the error holds the end of its log.
    pub async fn start_again(&self) -> Result<()> {
        self.act(Server::run).await
    }

    /// Stops the server and starts it again.
    ///
    /// # Errors
    /// As [`start_again`](Self::start_again).
    pub async fn restart(&self) -> Result<()> {
        self.act(|server| server.stop().and_then(|()| server.run()))
            .await
    }

    /// Stops the server and replaces its data by a new, empty cluster; the passwords stay.
    /// [`start_again`](Self::start_again) starts it.
    ///
    /// # Errors
    /// The files cannot be replaced.
    pub async fn wipe(&self) -> Result<()> {
        self.act(|server| server.stop().and_then(|()| server.cluster.wipe()))
            .await
    }

    async fn act(
        &self,
        what: impl FnOnce(&mut Server) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let server = Arc::clone(&self.server);
        tokio::task::spawn_blocking(move || what(&mut lock(&server))).await?
    }
}

/// The process, and what is needed to start it again.
#[derive(Debug)]
struct Server {
    cluster: Cluster,
    port: u16,
    options: PostgresOptions,
    child: Option<Child>,
}

impl Server {
    fn run(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.spawn()?;
            match self.wait_until_it_answers(deadline) {
                Ok(()) => return Ok(()),
                // After a kill the old backends hold the shared memory for a moment longer.
                Err(error)
                    if Instant::now() < deadline
                        && format!("{error:#}").contains("shared memory block") =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn spawn(&mut self) -> Result<()> {
        let log = File::create(self.cluster.log())?;
        let mut command = programs::server_command(&self.cluster)?;
        command
            .arg("-D")
            .arg(self.cluster.data())
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=300"])
            .args(["-c", "shared_buffers=64MB"])
            .args([
                "-c",
                if self.options.is_durable {
                    "fsync=on"
                } else {
                    "fsync=off"
                },
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.child = Some(child::spawn(command)?);
        Ok(())
    }

    fn wait_until_it_answers(&mut self, deadline: Instant) -> Result<()> {
        let url = self.cluster.url("signpost", self.port, "signpost");
        loop {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                self.child = None;
                bail!("PostgreSQL ended ({status}): {}", self.log_end());
            }
            if programs::psql(&url, "select 1").is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("PostgreSQL does not answer: {}", self.log_end());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log_end(&self) -> String {
        let text = fs::read_to_string(self.cluster.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn kill(&mut self) -> Result<()> {
        self.child
            .take()
            .map_or(Ok(()), |mut child| child::kill(&mut child))
    }

    fn stop(&mut self) -> Result<()> {
        let patience = Duration::from_secs(20);
        self.child
            .take()
            .map_or(Ok(()), |mut child| child::stop(&mut child, "INT", patience))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // QUIT is PostgreSQL's own quick end; unlike a kill it gives its shared memory back.
            drop(child::stop(&mut child, "QUIT", Duration::from_secs(2)));
        }
    }
}

fn lock(server: &Mutex<Server>) -> MutexGuard<'_, Server> {
    // A panic while holding the lock leaves a process and a flag, both still true.
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says which package brings a missing program.
pub(crate) fn not_installed() -> anyhow::Error {
    anyhow::anyhow!("PostgreSQL's server is not installed: apt-get install postgresql")
}

impl Cluster {
    fn url(&self, role: &str, port: u16, database: &str) -> String {
        format!(
            "postgres://{role}:{}@127.0.0.1:{port}/{database}",
            self.password()
        )
    }

    fn create(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        Self::open_or_copy(dir)
    }
}
