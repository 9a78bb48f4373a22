//! The publishers: events at a steady rate, whatever the answers are (open loop). Each event is
//! sent under its own id until its outcome is known, each time to the other ingest.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use http::Method;
use signpost_broker::{Broker, BrokerConfig, BrokerUrl, EventMessage, Publisher, TopologyMode};
use signpost_domain::{EventId, EventType, TenantId, Tiers};
use signpost_runtime::Lifecycle;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    client::{self, Reply},
    event::Event,
    ledger::{Answer, Came, Outcome, Published, hash},
    schedule::INGESTS,
    seeded::Seeded,
    world::{KEY, TIME_SCALE, World},
};

/// A publisher gives up on an answer after this long and sends again.
const ANSWER: Duration = Duration::from_secs(10);
/// For so long after the load's end events with an unknown outcome are still sent again.
const AFTERWARDS: Duration = Duration::from_secs(180);
/// Events that are on their way at once. More are held back, which a test of this length never
/// needs unless nothing works at all.
const MOST: usize = 4_000;

/// What the publishers are told, and what they saw.
pub(crate) struct Load {
    pub(crate) seed: u64,
    pub(crate) per_second: u32,
    pub(crate) length: Duration,
    /// Events with a known outcome so far.
    pub(crate) settled: AtomicUsize,
    answers: Mutex<Vec<Answer>>,
}

impl Load {
    pub(crate) fn new(seed: u64, per_second: u32, length: Duration) -> Self {
        Self {
            seed,
            per_second,
            length,
            settled: AtomicUsize::new(0),
            answers: Mutex::default(),
        }
    }

    /// Publishes for the load's length and until every outcome is known.
    ///
    /// # Errors
    /// The broker's URL is wrong.
    pub(crate) async fn run(
        self: &Arc<Self>,
        world: &Arc<World>,
    ) -> Result<(Vec<Published>, Vec<Answer>)> {
        let broker = connect(&world.amqp_url)?;
        let amqp = broker.publisher();
        let mut ticks = interval(Duration::from_secs(1) / self.per_second.max(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut under_way, mut published) = (JoinSet::new(), Vec::new());
        for number in 0.. {
            ticks.tick().await;
            if world.now() > self.length {
                break;
            }
            if under_way.len() >= MOST {
                published.extend(under_way.join_next().await);
            }
            let (load, world, amqp) = (Arc::clone(self), Arc::clone(world), amqp.clone());
            under_way.spawn(async move { load.publish(&world, &amqp, number).await });
            while let Some(done) = under_way.try_join_next() {
                published.push(done);
            }
        }
        while let Some(done) = under_way.join_next().await {
            published.push(done);
        }
        broker.close().await;
        let published = published.into_iter().collect::<Result<Vec<_>, _>>()?;
        let answers =
            std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((published, answers))
    }

    async fn publish(&self, world: &World, amqp: &Publisher, number: u64) -> Published {
        let event = Event::nth(self.seed, number);
        let mut pauses = Seeded::of(self.seed, &format!("pauses of {number}"));
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            let outcome = if event.over_amqp {
                over_amqp(amqp, &event).await
            } else {
                let ingest = (usize::try_from(number).unwrap_or(0) + tries) % INGESTS;
                self.over_http(world, &event, ingest).await
            };
            if outcome != Outcome::Unknown || world.now() > self.length + AFTERWARDS {
                break outcome;
            }
            // A server that says "later" says 2 s, in this system. Longer and longer, or all that
            // wait would keep a small machine from starting its servers again.
            let pause = 2_000 << tries.min(2);
            sleep(Duration::from_millis(pauses.between(pause / 2, pause))).await;
        };
        self.settled.fetch_add(1, Ordering::Relaxed);
        let wanted = world
            .endpoints
            .iter()
            .zip(&world.profiles)
            .enumerate()
            .filter(|(_, (endpoint, _))| {
                endpoint.tenant == event.tenant && endpoint.wants(event.kind)
            })
            .map(|(index, (_, profile))| (index, hash(&event.webhook_body(profile))))
            .collect();
        Published {
            tenant: event.tenant.to_owned(),
            id: event.id,
            outcome,
            tries: u32::try_from(tries).unwrap_or(u32::MAX),
            wanted,
        }
    }

    async fn over_http(&self, world: &World, event: &Event, ingest: usize) -> Outcome {
        let at = world.now();
        let path = format!("/v1/tenants/{}/events", event.tenant);
        let body = event.request_body();
        let sent = client::send(world.ports[ingest], Method::POST, &path, KEY, body, ANSWER).await;
        let came = match &sent {
            Ok(reply) => came(reply, &event.id),
            Err(error) => Came::Broken(format!("{error:#}")),
        };
        let outcome = match (&came, sent) {
            (Came::Accepted { .. }, _) => Outcome::Accepted,
            (
                Came::Status {
                    code: 400..=428 | 430..=499,
                    ..
                },
                Ok(reply),
            ) => Outcome::Refused(String::from_utf8_lossy(&reply.body).into_owned()),
            (Came::Status { .. } | Came::Broken(_), _) => Outcome::Unknown,
        };
        let answer = Answer {
            ingest,
            at,
            took: world.now().saturating_sub(at),
            came,
        };
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(answer);
        outcome
    }
}

fn came(reply: &Reply, id: &str) -> Came {
    if reply.status == 202 {
        let answer: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        return Came::Accepted {
            same_id: answer["id"] == id,
        };
    }
    Came::Status {
        code: reply.status,
        has_retry_after: reply.headers.contains_key("retry-after"),
    }
}

/// A connection as `signpost-client` makes it, which cannot know of the shortened tiers.
fn connect(url: &str) -> Result<Broker> {
    let config = BrokerConfig {
        topology: TopologyMode::Check,
        tiers: Tiers::scaled(TIME_SCALE),
        ..BrokerConfig::new(BrokerUrl::parse(url)?, "signpost-chaos")
    };
    Ok(Broker::connect(&config, &Lifecycle::new(), None))
}

async fn over_amqp(amqp: &Publisher, event: &Event) -> Outcome {
    let message = match message(event) {
        Ok(message) => message,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    match amqp.publish_confirmed(message).await {
        Ok(()) => Outcome::Accepted,
        Err(error) if error.is_transient() => Outcome::Unknown,
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

fn message(event: &Event) -> Result<signpost_broker::Publish> {
    let event = signpost_domain::Event {
        tenant: TenantId::parse(event.tenant)?,
        id: EventId::parse(&event.id)?,
        event_type: EventType::parse(event.kind)?,
        occurred_at: event.occurred_at,
        data: event.data.clone().into(),
    };
    Ok(EventMessage::encode(&event, None))
}
