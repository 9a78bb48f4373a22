//! The broker loses everything while many deliveries are due. How long until all of them have been
//! published again from the ledger, and how long until all have arrived?

use std::{fmt, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use signpost_testkit::{Reply, scratch_dir};
use tokio::time::{Instant, sleep};

use crate::{client, event::TENANTS, progress::Progress, world};
use world::World;

/// Per tenant; two thirds of them subscribe to the events published here.
const ENDPOINTS: usize = 30;
const SUBSCRIBED: usize = 20;
/// Events of one request.
const BATCH: usize = 100;
/// How long anything may take before the test is given up.
const PATIENCE: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(200);

/// What is asked of the ledger while it brings the deliveries back: open ones, and of these those
/// that were due at the wipe and have not been touched since.
const PROGRESS: &str = "
SELECT count(*), count(*) FILTER (WHERE next_attempt_at = '2000-01-01') FROM deliveries
WHERE status = 'pending'";

/// All that is due has been due for long: nothing waits for its time.
const ALL_DUE: &str = "
UPDATE deliveries SET next_attempt_at = '2000-01-01' WHERE status = 'pending'";

/// What was measured, from the moment when the broker answered again.
#[derive(Debug, Clone, Copy)]
pub struct Restored {
    /// Deliveries that were due.
    pub deliveries: u64,
    /// Until the first one arrived.
    pub first: Duration,
    /// Until the last one was published again, or found in hand.
    pub published: Duration,
    /// Until the last one had arrived.
    pub arrived: Duration,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        write!(
            f,
            "{} deliveries were due when the broker lost everything; after it was back:\n\
             first one arrived   {}\nall published again {}\nall arrived         {}",
            self.deliveries,
            seconds(self.first),
            seconds(self.published),
            seconds(self.arrived)
        )
    }
}

/// Sets up about so many deliveries, wipes the broker, and measures.
///
/// # Errors
/// The test could not be made, or not all came back in time.
pub async fn wiped(programs: &Path, deliveries: usize) -> Result<Restored> {
    let progress = Progress::default();
    let dir = scratch_dir("wiped")?;
    progress.say("starting RabbitMQ, PostgreSQL and the services …");
    let world = World::start(&dir, programs, ENDPOINTS, 0).await;
    let world = world.with_context(|| format!("could not start; logs are in {}", dir.display()))?;
    world.receiver.answer_with(|_| Reply::status(503));
    let events = deliveries.div_ceil(SUBSCRIBED);
    progress.say(&format!(
        "publishing {events} events to receivers that fail …"
    ));
    for first in (0..events).step_by(BATCH) {
        publish(&world, first..events.min(first + BATCH)).await?;
    }
    let wanted = (events * SUBSCRIBED) as u64;
    until(&world, "all events are fanned out", |open, _| {
        open >= wanted
    })
    .await?;
    progress.say("the broker loses everything …");
    let rabbit = world.rabbit.lock().await;
    rabbit.wipe().await?;
    world.database.psql(ALL_DUE).await?;
    world.receiver.answer_with(|_| Reply::status(200));
    rabbit.start_again().await?;
    let back = Instant::now();
    progress.say("it is back, and empty …");
    let (all, _) = read(&world).await?;
    until(&world, "the first arrives", |open, _| open < all).await?;
    let first = back.elapsed();
    until(&world, "all are published again", |_, untouched| {
        untouched == 0
    })
    .await?;
    let published = back.elapsed();
    until(&world, "all arrive", |open, _| open == 0).await?;
    Ok(Restored {
        deliveries: all,
        first,
        published,
        arrived: back.elapsed(),
    })
}

async fn publish(world: &World, numbers: std::ops::Range<usize>) -> Result<()> {
    let events: Vec<Value> = numbers
        .map(|n| json!({"id": format!("wiped-{n}"), "type": "order.paid", "data": {"n": n}}))
        .collect();
    let path = format!("/v1/tenants/{}/events/batch", TENANTS[0]);
    let body = Value::Array(events).to_string();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let body = body.clone().into();
        let patience = Duration::from_secs(10);
        let (port, key) = (world.ports[0], world::KEY);
        let reply = client::send(port, Method::POST, &path, key, body, patience).await?;
        if reply.status == 202 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&reply.body);
        let is_busy = matches!(reply.status, 429 | 503) && Instant::now() < deadline;
        ensure!(is_busy, "{} {text}", reply.status);
        sleep(LOOK).await;
    }
}

/// Open deliveries, and those that nobody has touched since the wipe.
async fn read(world: &World) -> Result<(u64, u64)> {
    let text = world.database.psql(PROGRESS).await?;
    let (open, untouched) = text.trim().split_once('|').context("two counts")?;
    Ok((open.parse()?, untouched.parse()?))
}

async fn until(world: &World, what: &str, is_so: impl Fn(u64, u64) -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (open, untouched) = read(world).await?;
        if is_so(open, untouched) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "waited in vain until {what}: {open} are open, {untouched} of them untouched"
        );
        sleep(LOOK).await;
    }
}
