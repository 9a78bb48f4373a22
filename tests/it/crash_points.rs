//! A process that dies at the worst moments loses nothing.
//!
//! Each test has one dispatcher that dies at a named place after some events, is started again
//! without that order, and must bring everything home: each event delivered, its record without
//! gaps, nothing twice but what was under way.

use std::collections::HashMap;

use serde_json::json;
use signpost_testkit::{Reply, wait_until};

use crate::world::{PATIENCE, Plan, World};

const EVENTS: usize = 40;

/// Whether an event's first attempt fails, where a test wants retries: too few in a row to open
/// the endpoint's circuit.
fn fails_at_first(event_id: &str) -> bool {
    let number = event_id
        .rsplit('-')
        .next()
        .and_then(|text| text.parse::<usize>().ok());
    number.is_some_and(|number| number % 4 == 0)
}

/// A world whose dispatcher dies at `point` after `passes` of it, with an endpoint that answers
/// some events with 500 at first where `fails_once`.
async fn world(point: &str, passes: u32, fails_once: bool) -> World {
    let order = format!("{point}={passes}*off->return");
    let world = World::start(Plan {
        time_scale: 0.1,
        variables: vec![("FAILPOINTS", order)],
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;
    let settings = json!({"retry": {"delays": ["10s", "10s", "10s"]}, "timeout": "1s"});
    world.endpoint("acme", "/hook", settings).await;
    let mut seen = HashMap::new();
    world.receiver.answer_with(move |request| {
        let id = request.header("webhook-id").unwrap_or_default().to_owned();
        let fails = fails_once && fails_at_first(&id);
        let times = seen.entry(id).or_insert(0);
        *times += 1;
        Reply::status(if fails && *times == 1 { 500 } else { 200 })
    });
    world
}

/// Publishes events under ids of our own. A request without an answer is sent again, as publishers
/// do.
async fn publish(world: &mut World) {
    for number in 0..EVENTS {
        let event = json!({"id": format!("event-{number}"), "type": "a.b", "data": {}});
        wait_until("the event is accepted", PATIENCE, async || {
            if world.ingest.has_ended() {
                world.ingest.start_again_without("FAILPOINTS");
            }
            let body = Some(event.to_string().into());
            let path = "/v1/tenants/acme/events";
            match world.api.try_send(http::Method::POST, path, body).await {
                Ok(answer) if answer.status == 202 => Ok(()),
                Ok(answer) => Err(answer.status.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }
}

async fn dispatcher_dies(world: &mut World) {
    let dispatcher = &mut world.dispatchers[0];
    dispatcher.until_dead().await;
    dispatcher.start_again_without("FAILPOINTS");
}

/// Everything ends as it should. Gives how many requests came again for an attempt that had been
/// made: one process died once, so each event may come once too often at most.
async fn all_is_well(world: &World, fails_once: bool) -> usize {
    let deliveries = world
        .until_deliveries("acme", "", &["succeeded"], EVENTS)
        .await;
    assert_eq!(deliveries.len(), EVENTS);
    let gaps = "SELECT count(*) FROM deliveries d WHERE attempt_count <>
        (SELECT count(*) FROM attempts a WHERE a.delivery_id = d.id AND a.number <= d.attempt_count)";
    assert_eq!(world.sql(gaps).await, "0", "attempts without gaps");
    let mut requests: HashMap<String, usize> = HashMap::new();
    for request in world.receiver.received_on("/hook") {
        let id = request.header("webhook-id").unwrap_or_default().to_owned();
        *requests.entry(id).or_default() += 1;
    }
    let surplus = |(id, count): (String, usize)| {
        let needed = 1 + usize::from(fails_once && fails_at_first(&id));
        assert!(
            (needed..=needed + 1).contains(&count),
            "{id} came {count} times"
        );
        count - needed
    };
    requests.into_iter().map(surplus).sum()
}

async fn dispatcher_survives(point: &str, passes: u32, fails_once: bool) {
    let mut world = world(point, passes, fails_once).await;
    publish(&mut world).await;
    dispatcher_dies(&mut world).await;
    all_is_well(&world, fails_once).await;
}

#[tokio::test]
async fn before_the_fan_out_s_commit() {
    dispatcher_survives("before-fan-out-commit", 5, false).await;
}

#[tokio::test]
async fn after_the_fan_out_s_commit() {
    dispatcher_survives("after-fan-out-commit", 5, false).await;
}

#[tokio::test]
async fn in_the_middle_of_a_fan_out() {
    dispatcher_survives("mid-fan-out", 20, false).await;
}

#[tokio::test]
async fn after_the_post_and_before_the_commit() {
    dispatcher_survives("after-post-before-commit", 20, false).await;
}

#[tokio::test]
async fn after_the_commit_and_before_the_ack() {
    dispatcher_survives("after-commit-before-ack", 20, false).await;
}

#[tokio::test]
async fn after_the_commit_and_before_the_retry_is_published() {
    dispatcher_survives("before-retry-publish", 4, true).await;
}

#[tokio::test]
async fn after_the_retry_is_published_and_before_the_ack() {
    dispatcher_survives("after-retry-publish", 4, true).await;
}

#[tokio::test]
async fn in_the_middle_of_reconciling() {
    let mut world = world("mid-reconcile", 0, false).await;
    publish(&mut world).await;
    let count = EVENTS.to_string();
    wait_until("all are delivered", PATIENCE, async || {
        let done = world
            .sql("SELECT count(*) FROM deliveries WHERE status = 'succeeded'")
            .await;
        if done == count { Ok(()) } else { Err(done) }
    })
    .await;
    // As if the broker had lost five of them before they were attempted.
    world
        .sql(
            "DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries ORDER BY id LIMIT 5);
             UPDATE deliveries SET status = 'pending', attempt_count = 0, last_status_code = NULL,
                finished_at = NULL, next_attempt_at = now() - interval '1 minute'
             WHERE id IN (SELECT id FROM deliveries ORDER BY id LIMIT 5)",
        )
        .await;
    dispatcher_dies(&mut world).await;
    // A claim is a lease: what the dead one had claimed is due again when that is over. The test
    // does not wait for it.
    world
        .sql("UPDATE deliveries SET next_attempt_at = now() - interval '1 minute' WHERE status = 'pending'")
        .await;
    assert_eq!(
        all_is_well(&world, false).await,
        5,
        "the five were sent again"
    );
}

#[tokio::test]
async fn ingest_before_it_publishes_and_after_the_confirm() {
    for point in ["before-publish", "after-confirm-before-2xx"] {
        let mut world = world(point, 20, false).await;
        publish(&mut world).await;
        assert_eq!(all_is_well(&world, false).await, 0, "nothing came twice");
    }
}
