//! What every scenario stands on: the API, the services' processes, a tenant with endpoints at the
//! benchmark's receiver, and events of one kibibyte.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use http::Method;
use rand::RngExt as _;
use serde_json::{Value, json};
use signpost_broker::{Broker, BrokerConfig, TopologyMode};
use signpost_runtime::Lifecycle;

use super::generator::{Body, Target};
use super::processes::Watched;
use crate::amqp::parse_url;
use crate::client::{Call, Client};
use crate::commands::text;
use crate::output::Progress;

/// Bytes of each event's data.
const DATA_BYTES: usize = 1024;
/// How long a new endpoint may be unknown to the dispatchers (contract: 1 s), with room.
const DIRECTORY_LAG: Duration = Duration::from_millis(1500);
/// Requests of the set-up that run at once.
const AT_ONCE: usize = 32;

/// The stage of all scenarios.
pub struct Stage {
    /// The API, with an admin key.
    pub client: Client,
    /// The admin key.
    pub key: String,
    /// The processes whose CPU time counts.
    pub watched: Vec<Watched>,
    /// How long each measurement lasts.
    pub duration: Duration,
    /// How much of the full amount is done where a row of the table names one: 1 is all.
    pub scale: f64,
    /// Connections that publish.
    pub connections: usize,
    /// Deliveries on their way in a closed loop.
    pub window: usize,
    /// For the depths of queues.
    pub broker: Broker,
    /// What is being done.
    pub progress: Progress,
    /// Differs from run to run, so that ids and tenants do.
    run: String,
    /// The tenants that were made.
    tenants: Mutex<Vec<String>>,
}

/// What [`Stage::new`] needs.
pub struct Means {
    /// The API, with an admin key.
    pub client: Client,
    /// The admin key.
    pub key: String,
    /// RabbitMQ.
    pub amqp: String,
    /// The processes whose CPU time counts.
    pub watched: Vec<Watched>,
    /// Where progress shows.
    pub progress: Progress,
}

impl Stage {
    /// A stage with the usual sizes.
    ///
    /// # Errors
    /// The broker's URL cannot be read.
    pub fn new(means: Means) -> Result<Self> {
        let mut config = BrokerConfig::new(parse_url(&means.amqp)?, "signpost-bench");
        config.topology = TopologyMode::Check;
        Ok(Self {
            client: means.client,
            key: means.key,
            watched: means.watched,
            duration: Duration::from_secs(10),
            scale: 1.0,
            connections: 64,
            window: 1024,
            broker: Broker::connect(&config, &Lifecycle::new(), None),
            progress: means.progress,
            run: hex::encode(rand::rng().random::<[u8; 3]>()),
            tenants: Mutex::default(),
        })
    }

    /// `amount`, scaled.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "amounts up to millions, scaled by a fraction"
    )]
    pub fn scaled(&self, amount: usize) -> usize {
        ((amount as f64 * self.scale) as usize).max(1)
    }

    /// A name that no other run has used.
    pub fn name(&self, what: &str) -> String {
        format!("bench-{what}-{}", self.run)
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn make_tenant(&self, tenant: &str) -> Result<()> {
        let call =
            Call::new(Method::PUT, ["tenants", tenant]).json(&json!({ "name": "Benchmark" }));
        self.client.send(call).await?;
        self.tenants().push(tenant.to_owned());
        Ok(())
    }

    /// Removes all tenants that were made. Only at the end: the rows of a removed tenant go in the
    /// background, which would disturb a measurement.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn clear(&self) -> Result<()> {
        self.progress.say("clearing up");
        let tenants = std::mem::take(&mut *self.tenants());
        for tenant in tenants {
            self.client.send(Call::delete(["tenants", &tenant])).await?;
        }
        Ok(())
    }

    fn tenants(&self) -> MutexGuard<'_, Vec<String>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes endpoints; gives their ids. The dispatchers learn of them within [`Self::settle`].
    ///
    /// # Errors
    /// The API refuses.
    pub async fn make_endpoints(&self, tenant: &str, endpoints: Vec<Value>) -> Result<Vec<String>> {
        let count = endpoints.len();
        let made: Vec<String> = futures::stream::iter(endpoints.into_iter().enumerate())
            .map(async |(number, endpoint)| {
                if number % 100 == 0 {
                    self.progress
                        .say(format!("making endpoints: {number} of {count}"));
                }
                let call = Call::post(["tenants", tenant, "endpoints"]).json(&endpoint);
                let answer = self
                    .client
                    .send_patiently(call, Duration::from_secs(30))
                    .await?;
                Ok::<_, anyhow::Error>(text(&answer.value()?, "/id"))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(made)
    }

    /// Waits until the dispatchers know what was changed.
    pub async fn settle(&self) {
        tokio::time::sleep(DIRECTORY_LAG).await;
    }

    /// Where events of a tenant are published.
    ///
    /// # Errors
    /// The server's URL is not plain http.
    pub fn events_target(&self, tenant: &str) -> Result<Target> {
        let path = format!("/v1/tenants/{tenant}/events");
        Target::new(self.client.base(), &path, &self.key, "application/json")
    }

    /// Where batches of a tenant are published.
    ///
    /// # Errors
    /// The server's URL is not plain http.
    pub fn batch_target(&self, tenant: &str) -> Result<Target> {
        let path = format!("/v1/tenants/{tenant}/events/batch");
        Target::new(self.client.base(), &path, &self.key, "application/x-ndjson")
    }

    /// Waits until a queue is empty, or nothing has left it for a while; gives what is left.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn wait_until_empty(&self, queue: &str) -> Result<u32> {
        let (mut last, mut since) = (u32::MAX, Instant::now());
        loop {
            let depth = self
                .broker
                .depth(queue)
                .await?
                .map_or(0, |depth| depth.ready);
            self.progress.say(format!("{queue}: {depth} wait"));
            if depth == 0 {
                return Ok(0);
            }
            if depth < last {
                (last, since) = (depth, Instant::now());
            } else if since.elapsed() > Duration::from_secs(20) {
                return Ok(depth);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// An endpoint with the default profile.
pub fn endpoint(url: &str, pattern: &str) -> Value {
    json!({ "name": "Benchmark", "url": url, "events": [pattern] })
}

/// Bodies of single events: ids are `PREFIX-NUMBER`, types come from `event_type`.
pub fn events(prefix: &str, event_type: impl Fn(usize) -> String + Send + Sync + 'static) -> Body {
    let prefix = prefix.to_owned();
    let pad = "x".repeat(DATA_BYTES - 40);
    Arc::new(move |number| {
        let mut body = String::with_capacity(DATA_BYTES + 150);
        write_event(&mut body, &prefix, number, &event_type(number), &pad);
        body.into_bytes()
    })
}

/// Bodies of batches of `size` events, as NDJSON; ids and types as in [`events`].
pub fn batches(
    prefix: &str,
    size: usize,
    event_type: impl Fn(usize) -> String + Send + Sync + 'static,
) -> Body {
    let prefix = prefix.to_owned();
    let pad = "x".repeat(DATA_BYTES - 40);
    Arc::new(move |number| {
        let mut body = String::with_capacity((DATA_BYTES + 150) * size);
        for index in 0..size {
            let number = number * size + index;
            write_event(&mut body, &prefix, number, &event_type(number), &pad);
            body.push('\n');
        }
        body.into_bytes()
    })
}

fn write_event(body: &mut String, prefix: &str, number: usize, event_type: &str, pad: &str) {
    // Writing to a String cannot fail.
    write!(
        body,
        r#"{{"type":"{event_type}","id":"{prefix}-{number}","data":{{"number":{number:12},"pad":"{pad}"}}}}"#
    )
    .unwrap_or_default();
}

/// Reads a figure that a program of the floor printed.
///
/// # Errors
/// It printed something else.
pub fn read_number(printed: &Value, name: &str) -> Result<f64> {
    printed[name]
        .as_f64()
        .with_context(|| format!("the program did not print {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_carries_a_kibibyte_of_data() {
        let body = events("p", |number| format!("bench.t{number}"))(7);
        let event: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(event["id"], "p-7");
        assert_eq!(event["type"], "bench.t7");
        let data = serde_json::to_string(&event["data"]).unwrap().len();
        assert!((1000..1040).contains(&data), "{data}");
        let batch = String::from_utf8(batches("p", 3, |_| "bench.b".to_owned())(2)).unwrap();
        let ids: Vec<_> = batch
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
            .collect();
        assert_eq!(ids, ["p-6", "p-7", "p-8"]);
    }
}
