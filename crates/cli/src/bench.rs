//! `signpost bench`: the yardstick. One scenario per row of the table of goals; one figure a line.
//!
//! It starts the services itself (those beside this program, on the broker and the database of
//! the environment), or measures running ones with `--server`. `./dev bench` calls it.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments on options are help texts, shown as they are"
)]

pub mod figure;
pub mod floor;
pub mod generator;
pub mod latency;
pub mod processes;
pub mod receiver;
pub mod scenario;
pub mod services;
pub mod stage;
pub mod usage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use signpost_domain::parse_duration;

use crate::args::Global;
use crate::client::Client;
use crate::config::{Connection, Environment, resolve};
use crate::database::MASTER_KEYS;
use crate::error::{CliError, Result, usage};
use crate::output::Output;
use floor::Floor;
use processes::Watched;
use scenario::Scenario;
use services::{Service, Setting, watch_server};
use stage::{Means, Stage};

const EXAMPLES: &str = "\
Examples:
  ./dev bench                          (private broker and database, release binaries)
  signpost bench single latency200 --duration 20s
  signpost bench --scale 0.1           (a tenth of the large amounts)
  signpost bench single --server http://127.0.0.1:8080 --key KEY --pid ingest=71 --pid dispatcher=72

A line is: name, value, unit; where there is one, the goal and whether it is met; where the floor
was measured, its value and the ratio to it.";

/// Measures throughput, latency, CPU and memory against the goals.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// What to measure [default: all]
    #[arg(value_enum, value_name = "SCENARIO")]
    scenarios: Vec<Scenario>,
    /// RabbitMQ [env: SIGNPOST_AMQP_URL]
    #[arg(long, value_name = "URL")]
    amqp: Option<String>,
    /// PostgreSQL [env: SIGNPOST_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// How long each measurement lasts
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// How much of the large amounts (retries, directory, backlog) is done
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// Dispatchers to start
    #[arg(long, value_name = "N", default_value_t = 2)]
    dispatchers: usize,
    /// Connections that publish
    #[arg(long, value_name = "N", default_value_t = 256)]
    connections: usize,
    /// Deliveries on their way in a closed loop
    #[arg(long, value_name = "N", default_value_t = 1024)]
    window: usize,
    /// A process whose CPU and memory count: ingest, dispatcher, broker or database
    #[arg(long = "pid", value_name = "NAME=PID", value_parser = Watched::parse)]
    pids: Vec<Watched>,
    /// The folder of the programs `floor` and `matching` [default: examples, beside this program]
    #[arg(long, value_name = "FOLDER")]
    floor: Option<PathBuf>,
}

impl Bench {
    /// Runs it.
    pub async fn run(self, flags: &Global, env: &Environment, out: &mut Output) -> Result<()> {
        let amqp = match &self.amqp {
            Some(url) => url.clone(),
            None => env.secret("SIGNPOST_AMQP_URL")?.unwrap_or_default(),
        };
        let database = crate::database::url(self.database.as_deref(), env)?.unwrap_or_default();
        if amqp.is_empty() || database.is_empty() {
            return usage("name broker and database: SIGNPOST_AMQP_URL and SIGNPOST_DATABASE_URL");
        }
        let mut servers = Vec::from_iter(watch_server("broker", &amqp, 5672));
        servers.extend(watch_server("database", &database, 5432));
        let progress = out.progress(None, "starting");
        // Dropped last: that stops the services.
        let mut setting = None;
        let mut services = Vec::new();
        let connection = if flags.server.is_some() || env.get("SIGNPOST_SERVER").is_some() {
            resolve(flags, env)?
        } else {
            let keys = env.secret(MASTER_KEYS)?;
            let setting = setting.insert(Setting::new(amqp.clone(), database.clone(), keys)?);
            services = start_services(setting, self.dispatchers).await?;
            own_connection(setting, &services)?
        };
        let mut watched = self.pids.clone();
        let is_new = |server: &&Watched| !self.pids.iter().any(|p| p.name == server.name);
        watched.extend(servers.iter().filter(is_new).cloned());
        let key = connection.key.clone().unwrap_or_default();
        let means = Means {
            client: Client::new(&connection)?,
            key,
            amqp: amqp.clone(),
            watched: [watched.clone(), processes_of(&services)].concat(),
            progress,
        };
        let mut stage = Stage::new(means)?;
        stage.duration = self.duration;
        stage.scale = self.scale;
        stage.connections = self.connections;
        stage.window = self.window;
        let floor = Floor::find(self.floor.clone(), &amqp, &database, servers, self.duration);
        self.say_what_differs(&stage, &floor, out)?;
        let mut figures = Vec::new();
        for scenario in self.scenarios() {
            if let Some(setting) = setting.as_ref().filter(|_| !figures.is_empty()) {
                // New ones for each scenario: what one leaves in their memory is not the next one's.
                stop(services).await?;
                services = start_services(setting, self.dispatchers).await?;
                stage.client = Client::new(&own_connection(setting, &services)?)?;
                stage.watched = [watched.clone(), processes_of(&services)].concat();
            }
            let found = scenario.run(&stage, &floor, setting.as_ref()).await;
            let found = found.with_context(|| format!("{scenario:?} could not be measured"))?;
            if !out.is_json() {
                for figure in &found {
                    stage.progress.aside(|| out.line(figure.to_string()))?;
                }
            }
            figures.extend(found);
        }
        stage.clear().await?;
        stage.broker.close().await;
        drop(stage);
        stop(services).await?;
        if let Some(setting) = &setting {
            setting.remove_logs();
        }
        if out.is_json() {
            let all = json!({ "figures": figures, "machine": machine() }).to_string();
            out.json(all.as_bytes())?;
        }
        Ok(())
    }

    fn scenarios(&self) -> &[Scenario] {
        if self.scenarios.is_empty() {
            &Scenario::ALL
        } else {
            &self.scenarios
        }
    }

    fn say_what_differs(&self, stage: &Stage, floor: &Floor, out: &mut Output) -> Result<()> {
        if !floor.is_there() {
            stage.progress.aside(|| {
                out.talk(
                    "(no floor: build it with `cargo build --release --examples -p signpost-e2e`)",
                )
            })?;
        }
        if self.scale < 1.0 {
            let scaled = "(the amounts are scaled down; the goals are for the full ones)";
            stage.progress.aside(|| out.talk(scaled))?;
        }
        Ok(())
    }
}

/// One ingest and some dispatchers, ready.
async fn start_services(setting: &Setting, dispatchers: usize) -> Result<Vec<Service>> {
    // Ingest first, and alone: it migrates and declares.
    let mut services = vec![Service::start("ingest", setting)?];
    services[0].ready().await?;
    for _ in 0..dispatchers.max(1) {
        let mut dispatcher = Service::start("dispatcher", setting)?;
        dispatcher.ready().await?;
        services.push(dispatcher);
    }
    Ok(services)
}

async fn stop(services: Vec<Service>) -> Result<()> {
    for service in services {
        service.stop().await?;
    }
    Ok(())
}

fn processes_of(services: &[Service]) -> Vec<Watched> {
    services.iter().map(Service::watched).collect()
}

fn own_connection(setting: &Setting, services: &[Service]) -> Result<Connection> {
    let ingest = services
        .first()
        .ok_or_else(|| CliError::Failed("no service".to_owned()))?;
    Ok(Connection {
        server: ingest.server.clone(),
        key: Some(setting.key.clone()),
        tenant: crate::config::DEFAULT_TENANT.to_owned(),
        context: None,
    })
}

/// What the figures were measured on.
fn machine() -> serde_json::Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let model = read("/proc/cpuinfo");
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = read("/proc/sys/kernel/osrelease");
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "cpu": model.map(|(_, name)| name),
        "kernel": kernel.trim(),
        "version": env!("CARGO_PKG_VERSION"),
    })
}
