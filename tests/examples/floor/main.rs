//! The floor: a bare program that does only what a webhook sender on RabbitMQ and PostgreSQL
//! cannot leave out. It consumes from a quorum queue, POSTs with hyper, commits batches of rows,
//! and acks. `signpost bench` runs it beside Signpost, so that each figure has the possible next
//! to it. JSON in, JSON out; see [`Config`].

mod consume;
mod post;
mod publish;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Semaphore;

/// Consumers, each with a channel, a connection to the database and connections to the receiver.
const WORKERS: usize = 4;
/// Messages on their way in the closed loop.
const WINDOW: usize = 1024;
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// What the benchmark asks for, on standard input.
#[derive(Debug, Deserialize)]
struct Config {
    /// `deliver` or `publish`.
    mode: String,
    amqp: String,
    database: String,
    /// How long to measure.
    seconds: u64,
    /// Where to POST, without a path.
    #[serde(default)]
    receiver: String,
    /// POSTs per message.
    #[serde(default = "one")]
    fanout: usize,
    /// Messages a second; without it, a closed loop.
    #[serde(default)]
    rate: Option<f64>,
}

fn one() -> usize {
    1
}

/// What publisher and consumers share.
struct Shared {
    queue: String,
    /// Permits for messages on their way.
    window: Semaphore,
    /// Deliveries whose rows are committed.
    done: AtomicU64,
    /// When each message was published, after `began`, in microseconds.
    published: Vec<AtomicU64>,
    /// Microseconds from publishing to the answer.
    latencies: std::sync::Mutex<Vec<u64>>,
    began: Instant,
    is_over: AtomicBool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let config: Config = serde_json::from_reader(std::io::stdin()).context("no configuration")?;
    let connection = connect(&config.amqp).await?;
    let queue = format!("signpost-floor-{}", std::process::id());
    declare(&connection, &queue).await?;
    let shared = Arc::new(Shared {
        queue,
        window: Semaphore::new(WINDOW),
        done: AtomicU64::new(0),
        published: (0..2_000_000).map(|_| AtomicU64::new(0)).collect(),
        latencies: std::sync::Mutex::default(),
        began: Instant::now(),
        is_over: AtomicBool::new(false),
    });
    let printed = match config.mode.as_str() {
        "publish" => measure_publishing(&config, &connection, &shared).await,
        _ => measure_delivering(&config, &connection, &shared).await,
    };
    let channel = connection.create_channel().await?;
    channel
        .queue_delete(shared.queue.as_str().into(), QueueDeleteOptions::default())
        .await?;
    serde_json::to_writer(std::io::stdout(), &printed?)?;
    Ok(())
}

async fn connect(url: &str) -> Result<Connection> {
    let options = ConnectionProperties::default().with_connection_name("signpost-floor".into());
    Connection::connect(url, options)
        .await
        .context("failed to connect to the broker")
}

async fn declare(connection: &Connection, queue: &str) -> Result<()> {
    let channel = connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments)
        .await?;
    Ok(())
}

/// Confirms a second, with nobody consuming.
async fn measure_publishing(
    config: &Config,
    connection: &Connection,
    shared: &Arc<Shared>,
) -> Result<Value> {
    let publisher = tokio::spawn(publish::alone(
        connection.create_channel().await?,
        Arc::clone(shared),
    ));
    tokio::time::sleep(Duration::from_secs(config.seconds)).await;
    let (count, elapsed) = (shared.done.load(Relaxed), shared.began.elapsed());
    shared.is_over.store(true, Relaxed);
    publisher.await??;
    Ok(json!({ "messages_per_second": per_second(count, elapsed) }))
}

/// Deliveries a second, or latencies at a rate.
async fn measure_delivering(
    config: &Config,
    connection: &Connection,
    shared: &Arc<Shared>,
) -> Result<Value> {
    let pool = PgPoolOptions::new()
        .max_connections(u32::try_from(WORKERS)?)
        .connect(&config.database)
        .await
        .context("failed to connect to the database")?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS signpost_floor (id text COLLATE \"C\", endpoint int, status int, \
         answered_at timestamptz)",
    )
    .execute(&pool)
    .await?;
    let consuming = connect(&config.amqp).await?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let channel = consuming.create_channel().await?;
        let poster = post::Poster::connect(&config.receiver, config.fanout).await?;
        workers.push(tokio::spawn(consume::run(
            channel,
            poster,
            pool.clone(),
            Arc::clone(shared),
        )));
    }
    let channel = connection.create_channel().await?;
    let publisher = tokio::spawn(publish::run(channel, config.rate, Arc::clone(shared)));

    tokio::time::sleep(WARM_UP).await;
    let (before, measured_from) = (shared.done.load(Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs(config.seconds)).await;
    let (after, elapsed) = (shared.done.load(Relaxed), measured_from.elapsed());
    shared.is_over.store(true, Relaxed);
    publisher.await??;
    for worker in workers {
        worker.await??;
    }
    sqlx::query("DROP TABLE IF EXISTS signpost_floor")
        .execute(&pool)
        .await?;
    let mut latencies = std::mem::take(
        &mut *shared
            .latencies
            .lock()
            .map_err(|_poisoned| anyhow::anyhow!("a worker has panicked"))?,
    );
    latencies.sort_unstable();
    Ok(json!({
        "deliveries_per_second": per_second(after - before, elapsed),
        "deliveries": shared.done.load(Relaxed),
        "cpu_seconds": own_cpu_seconds()?,
        "latency_p50_ms": quantile(&latencies, 50),
        "latency_p99_ms": quantile(&latencies, 99),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn quantile(sorted: &[u64], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(index)
        .map_or(0.0, |micros| *micros as f64 / 1000.0)
}

/// CPU time of this process so far, from fields 14 and 15 of proc(5)'s `stat`, in ticks of 10 ms.
fn own_cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let fields = rest.split_ascii_whitespace().skip(11).take(2);
    let ticks = fields.map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(f64::from(ticks) / 100.0)
}
