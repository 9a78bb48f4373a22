//! What is killed, restarted or gone in the middle of the work loses nothing.

mod cluster;
mod database;
mod descriptors;

use std::{collections::HashMap, time::Duration};

use serde_json::json;
use signpost_testkit::{Database, PrivatePostgres, PrivateRabbit, scratch_dir, wait_until};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::world::{PATIENCE, Plan, World};

/// Servers that only one test uses, since it hurts them.
struct Servers {
    rabbit: PrivateRabbit,
    postgres: PrivatePostgres,
    database: Database,
    _turn: SemaphorePermit<'static>,
}

/// As many brokers and databases at a time as a small machine can start without timeouts.
static TURNS: Semaphore = Semaphore::const_new(2);

impl Servers {
    async fn start() -> Self {
        let turn = TURNS.acquire().await.unwrap();
        let dir = scratch_dir("faults").unwrap();
        let (rabbit, postgres) = tokio::join!(
            PrivateRabbit::start(dir.join("rabbitmq")),
            PrivatePostgres::start(dir.join("postgres"))
        );
        let postgres = postgres.unwrap();
        let database = postgres.database().await.unwrap();
        Self {
            rabbit: rabbit.unwrap(),
            postgres,
            database,
            _turn: turn,
        }
    }

    async fn world(&self, dispatchers: usize) -> World {
        let world = World::start(Plan {
            dispatchers,
            amqp_url: Some(self.rabbit.url()),
            database_url: Some(self.database.url().to_owned()),
            time_scale: 0.1,
            ..Plan::default()
        })
        .await;
        // RabbitMQ 3.10 writes the names of new quorum queues to disk some seconds later. One that
        // is killed before that finds its queues without their logs. Not ours to test.
        self.rabbit
            .control()
            .eval("[dets:sync(T) || T <- dets:all()].")
            .await
            .unwrap();
        world
    }
}

/// Publishes until `count` events are accepted; those that are refused are sent again under the
/// same id, as a publisher would.
async fn publish(world: &World, from: usize, count: usize) {
    for n in from..from + count {
        let event = json!({"id": format!("event-{n}"), "type": "a.b", "data": {"n": n}});
        wait_until("the event is accepted", PATIENCE, async || {
            let body = Some(event.to_string().into());
            match world
                .api
                .try_send(http::Method::POST, "/v1/tenants/acme/events", body)
                .await
            {
                Ok(answer) if answer.status == 202 => Ok(()),
                Ok(answer) => {
                    assert!(
                        answer.status == 503 || answer.status == 429,
                        "{}",
                        answer.status
                    );
                    assert!(answer.headers.contains_key("retry-after"));
                    Err(String::from_utf8_lossy(&answer.body).into_owned())
                }
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }
}

/// Waits until every event has a delivery that succeeded, then checks that the record is complete:
/// attempts are numbered without gaps, and the receiver saw no more requests than are recorded.
/// Gives how often each event arrived.
async fn all_arrived(world: &World, database: &Database, count: usize) -> HashMap<String, usize> {
    let sql =
        "SELECT count(*) FILTER (WHERE status = 'succeeded') || '/' || count(*) FROM deliveries";
    wait_until(
        "every delivery has succeeded",
        Duration::from_secs(120),
        async || {
            let seen = database
                .psql(sql)
                .await
                .unwrap_or_else(|error| error.to_string());
            if seen.trim() == format!("{count}/{count}") {
                Ok(())
            } else {
                Err(seen)
            }
        },
    )
    .await;
    let gaps = "SELECT count(*) FROM deliveries d WHERE attempt_count <>
        (SELECT count(*) FROM attempts a WHERE a.delivery_id = d.id AND a.number <= d.attempt_count)";
    assert_eq!(
        database.psql(gaps).await.unwrap().trim(),
        "0",
        "attempts without gaps"
    );
    let mut arrivals = HashMap::new();
    for request in world.receiver.received_on("/hook") {
        *arrivals
            .entry(request.header("webhook-id").unwrap().to_owned())
            .or_insert(0) += 1;
    }
    assert_eq!(arrivals.len(), count, "every event arrived");
    arrivals
}

async fn set_up(world: &World) {
    world.tenant("acme").await;
    let retry =
        json!({"delays": ["10s", "10s", "10s", "30s", "30s", "30s", "30s", "30s", "1m", "1m"]});
    world
        .endpoint("acme", "/hook", json!({"retry": retry, "timeout": "2s"}))
        .await;
}

#[tokio::test]
async fn a_dispatcher_killed_in_mid_delivery_loses_nothing() {
    let servers = Servers::start().await;
    let mut world = servers.world(2).await;
    set_up(&world).await;
    // Every third answer takes a while, so that the kill finds requests under way.
    world.receiver.answer_with(|request| {
        let pause = if request.number % 3 == 0 { 300 } else { 0 };
        signpost_testkit::Reply::status(200).after(Duration::from_millis(pause))
    });
    publish(&world, 0, 60).await;
    world.dispatchers[0].kill();
    publish(&world, 60, 60).await;
    world.dispatchers[0].start_again();
    publish(&world, 120, 30).await;
    let arrivals = all_arrived(&world, &servers.database, 150).await;
    let twice = arrivals.values().filter(|times| **times > 1).count();
    assert!(
        twice <= 40,
        "only what was under way at the kill may arrive twice: {twice}"
    );
}

#[tokio::test]
async fn a_restarted_broker_and_a_restarted_database_lose_and_double_nothing() {
    let servers = Servers::start().await;
    let world = servers.world(2).await;
    set_up(&world).await;
    publish(&world, 0, 40).await;
    servers.rabbit.restart().await.unwrap();
    publish(&world, 40, 40).await;
    servers.postgres.restart().await.unwrap();
    publish(&world, 80, 40).await;
    servers.postgres.kill().await.unwrap();
    // Ingest goes on without the database.
    publish(&world, 120, 20).await;
    servers.postgres.start_again().await.unwrap();
    let arrivals = all_arrived(&world, &servers.database, 140).await;
    let twice: Vec<_> = arrivals.iter().filter(|(_, times)| **times > 1).collect();
    assert!(
        twice.is_empty(),
        "no process died, so nothing may arrive twice: {twice:?}"
    );
}

#[tokio::test]
async fn a_receiver_that_stops_under_load_gets_everything_when_it_is_back() {
    let servers = Servers::start().await;
    let world = servers.world(2).await;
    set_up(&world).await;
    publish(&world, 0, 30).await;
    world.receiver.stop();
    publish(&world, 30, 4).await;
    world.receiver.start_again().await.unwrap();
    publish(&world, 34, 30).await;
    all_arrived(&world, &servers.database, 64).await;
}

#[tokio::test]
async fn while_the_broker_is_away_ingest_says_so_at_once_and_recovers_by_itself() {
    let servers = Servers::start().await;
    let world = servers.world(1).await;
    set_up(&world).await;
    publish(&world, 0, 1).await;
    servers.rabbit.kill().await.unwrap();
    let started = std::time::Instant::now();
    let event = json!({"type": "a.b", "data": {}});
    let answer = world
        .api
        .post("/v1/tenants/acme/events", &event)
        .await
        .expect(&[503]);
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.json()["code"].is_string());
    servers.rabbit.start_again().await.unwrap();
    publish(&world, 1, 1).await;
    all_arrived(&world, &servers.database, 2).await;
}

#[tokio::test]
async fn a_wiped_broker_is_rebuilt_from_the_ledger() {
    let servers = Servers::start().await;
    let world = servers.world(1).await;
    set_up(&world).await;
    world
        .receiver
        .answer_with(|_| signpost_testkit::Reply::status(500));
    publish(&world, 0, 20).await;
    // The breaker opens after some failures: the first ones wait for a retry, the others were put
    // off without an attempt. All of them wait in tiers.
    wait_until("all wait in tiers", PATIENCE, async || {
        let page = world
            .api
            .get("/v1/tenants/acme/deliveries?limit=250")
            .await
            .expect(&[200])
            .json();
        let items = page["items"].as_array().unwrap().clone();
        let was_attempted = items
            .iter()
            .any(|item| item["attempt_count"].as_u64() > Some(0));
        if items.len() == 20 && was_attempted {
            Ok(())
        } else {
            Err(items)
        }
    })
    .await;
    servers.rabbit.wipe().await.unwrap();
    servers.rabbit.start_again().await.unwrap();
    world
        .receiver
        .answer_with(|_| signpost_testkit::Reply::status(200));
    all_arrived(&world, &servers.database, 20).await;
}

#[tokio::test]
async fn a_stop_that_is_asked_for_finishes_what_is_under_way_and_doubles_nothing() {
    let servers = Servers::start().await;
    let mut world = servers.world(2).await;
    set_up(&world).await;
    world
        .receiver
        .answer_with(|_| signpost_testkit::Reply::status(200).after(Duration::from_millis(50)));
    for round in 0..4 {
        publish(&world, round * 25, 25).await;
        let which = round % 2;
        let (code, took) = world.dispatchers[which].stop().await;
        assert_eq!(code, Some(0), "{}", world.dispatchers[which].log_end());
        assert!(took < Duration::from_secs(10), "{took:?}");
        world.dispatchers[which].start_again();
    }
    let arrivals = all_arrived(&world, &servers.database, 100).await;
    assert!(arrivals.values().all(|times| *times == 1), "{arrivals:?}");
}
