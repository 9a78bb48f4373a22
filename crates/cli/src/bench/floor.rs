//! The floor: bare programs that do only what cannot be left out, measured in the same run, so
//! that each figure has the possible beside it.
//!
//! `floor` (an example of the package `signpost-e2e`) consumes from a quorum queue, POSTs with
//! hyper and commits a batch of rows; `matching` asks the dispatcher's directory by itself. They
//! are programs of their own because this crate talks neither AMQP nor SQL.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::processes::{CpuSnapshot, Watched};
use super::receiver::{Arrivals, Behaviour, BenchReceiver, Expected};
use super::stage::read_number;

/// Messages that a run of the floor may deliver, times the endpoints of each.
const MOST: usize = 2_000_000;

/// What is needed to run the floor.
#[derive(Debug)]
pub struct Floor {
    /// The folder of the programs; none where they were not built.
    folder: Option<PathBuf>,
    amqp: String,
    database: String,
    /// Broker and database, whose CPU time counts.
    servers: Vec<Watched>,
    duration: Duration,
}

/// What the bare program reached.
#[derive(Debug, Clone, Copy)]
pub struct Delivered {
    /// Deliveries a second.
    pub rate: f64,
    /// Microseconds of CPU per delivery: the program, the broker and the database.
    pub cpu_micros: f64,
}

/// Latencies of the bare program, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The 99th of 100.
    pub p99: f64,
}

impl Floor {
    /// The programs in `folder`, or in `examples` beside this program.
    pub fn find(
        folder: Option<PathBuf>,
        amqp: &str,
        database: &str,
        servers: Vec<Watched>,
        duration: Duration,
    ) -> Self {
        let beside = || {
            let own = std::env::current_exe().ok()?;
            Some(own.parent()?.join("examples"))
        };
        let folder = folder
            .or_else(beside)
            .filter(|folder| folder.join("floor").exists());
        Self {
            folder,
            amqp: amqp.to_owned(),
            database: database.to_owned(),
            servers,
            duration,
        }
    }

    /// Whether the programs are there.
    pub fn is_there(&self) -> bool {
        self.folder.is_some()
    }

    /// Deliveries of the bare program, each message to `fanout` URLs.
    ///
    /// # Errors
    /// The program fails.
    pub async fn deliver(&self, fanout: usize) -> Result<Option<Delivered>> {
        let arrivals = Arc::new(Arrivals::new(Expected {
            behaviour: Behaviour::Take,
            prefix: "floor".to_owned(),
            events: MOST / fanout,
            endpoints: fanout,
            window: None,
        }));
        let receiver = BenchReceiver::start(arrivals)?;
        let config = json!({ "mode": "deliver", "receiver": receiver.base(), "fanout": fanout });
        let before = CpuSnapshot::take()?;
        let Some(printed) = self.run("floor", config).await? else {
            return Ok(None);
        };
        let after = CpuSnapshot::take()?;
        let servers: Duration = self
            .servers
            .iter()
            .map(|server| {
                after
                    .of_tree(server.pid)
                    .saturating_sub(before.of_tree(server.pid))
            })
            .sum();
        let deliveries = read_number(&printed, "deliveries")?.max(1.0);
        let own = read_number(&printed, "cpu_seconds")?;
        Ok(Some(Delivered {
            rate: read_number(&printed, "deliveries_per_second")?,
            cpu_micros: (servers.as_secs_f64() + own) * 1e6 / deliveries,
        }))
    }

    /// Latencies of the bare program at a steady rate: from publishing to the receiver's answer.
    ///
    /// # Errors
    /// The program fails.
    pub async fn latency(&self, rate: f64) -> Result<Option<Latency>> {
        let arrivals = Arc::new(Arrivals::new(Expected {
            behaviour: Behaviour::Take,
            prefix: "floor".to_owned(),
            events: MOST,
            endpoints: 1,
            window: None,
        }));
        let receiver = BenchReceiver::start(arrivals)?;
        let config = json!({ "mode": "deliver", "receiver": receiver.base(), "rate": rate });
        let Some(printed) = self.run("floor", config).await? else {
            return Ok(None);
        };
        Ok(Some(Latency {
            p50: read_number(&printed, "latency_p50_ms")?,
            p99: read_number(&printed, "latency_p99_ms")?,
        }))
    }

    /// Messages a second that the bare program publishes with confirms.
    ///
    /// # Errors
    /// The program fails.
    pub async fn publish(&self) -> Result<Option<f64>> {
        let printed = self.run("floor", json!({ "mode": "publish" })).await?;
        printed
            .map(|printed| read_number(&printed, "messages_per_second"))
            .transpose()
    }

    /// Microseconds that one match takes among `endpoints` of a tenant, in the dispatcher's own
    /// directory.
    ///
    /// # Errors
    /// The program fails.
    pub async fn matching(&self, endpoints: usize) -> Result<Option<f64>> {
        let printed = self
            .run("matching", json!({ "endpoints": endpoints }))
            .await?;
        printed
            .map(|printed| read_number(&printed, "match_micros"))
            .transpose()
    }

    /// Runs a program with this configuration, and reads the JSON that it prints.
    async fn run(&self, program: &str, mut config: Value) -> Result<Option<Value>> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        config["amqp"] = self.amqp.as_str().into();
        config["database"] = self.database.as_str().into();
        config["seconds"] = self.duration.as_secs().into();
        let program = folder.join(program);
        // The URLs hold passwords: they go through standard input, which nobody else sees.
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        let mut input = child
            .stdin
            .take()
            .context("the program has a standard input")?;
        input.write_all(config.to_string().as_bytes()).await?;
        drop(input);
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            bail!("{} failed ({})", program.display(), output.status);
        }
        let printed = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{} did not print JSON", program.display()))?;
        Ok(Some(printed))
    }
}
