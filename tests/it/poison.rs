//! What kills whoever works on it is found, parked and told apart from its neighbours.

use serde_json::json;
use signpost_testkit::wait_until;

use crate::world::{PATIENCE, Plan, Process, World};

const NEIGHBOURS: usize = 30;

/// A world whose dispatcher dies as `order` says, with one endpoint.
async fn world(order: &str) -> World {
    let world = World::start(Plan {
        time_scale: 0.1,
        variables: vec![("FAILPOINTS", order.to_owned())],
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;
    let settings = json!({"retry": {"delays": ["10s", "10s", "10s"]}, "timeout": "1s"});
    world.endpoint("acme", "/hook", settings).await;
    world
}

/// Waits for the death of a dispatcher that dies whenever it meets the poison, and starts it again.
async fn dies_and_is_started_again(dispatcher: &mut Process) {
    dispatcher.until_dead().await;
    dispatcher.start_again();
}

#[tokio::test]
async fn a_delivery_that_keeps_killing_its_workers_is_parked() {
    let mut world = world("before-post=return").await;
    world.event("acme", "a.b", json!({})).await;
    // Straight from fan-out, and then three times from the queue.
    for _ in 0..4 {
        dies_and_is_started_again(&mut world.dispatchers[0]).await;
    }
    let parked = world.until_deliveries("acme", "", &["failed"], 1).await;
    assert!(
        parked[0]["status_reason"]
            .as_str()
            .unwrap()
            .contains("died")
    );
    let rejected = world.api.get("/v1/rejected").await.expect(&[200]).json();
    assert_eq!(rejected["items"][0]["reason"], "crashed_worker");
    assert!(!world.dispatchers[0].has_ended(), "it has not died again");
}

#[tokio::test]
async fn an_event_that_keeps_killing_its_workers_is_parked_and_its_neighbours_arrive() {
    let mut world = world("fan-out-of=return(a.poison)").await;
    // All of it is there when the dispatcher looks, so that the poison has neighbours.
    world.dispatchers[0].signal("STOP");
    for number in 0..NEIGHBOURS {
        if number == NEIGHBOURS / 2 {
            let poison = json!({"id": "poison", "type": "a.poison", "data": {}});
            world
                .api
                .post("/v1/tenants/acme/events", &poison)
                .await
                .expect(&[202]);
        }
        world.event("acme", "a.b", json!({"n": number})).await;
    }
    world.dispatchers[0].signal("CONT");
    // Twice among its neighbours, and twice alone.
    for _ in 0..4 {
        dies_and_is_started_again(&mut world.dispatchers[0]).await;
    }
    world
        .until_deliveries("acme", "", &["succeeded"], NEIGHBOURS)
        .await;
    let parked = wait_until("it is parked", PATIENCE, async || {
        let rejected = world.api.get("/v1/rejected").await.expect(&[200]).json();
        let items = rejected["items"].as_array().unwrap().clone();
        if items.is_empty() {
            Err("nothing is")
        } else {
            Ok(items)
        }
    })
    .await;
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!(parked[0]["reason"], "crashed_worker");
    assert_eq!(parked[0]["message_id"], "poison");
    wait_until("no suspicion is left", PATIENCE, async || {
        match world.sql("SELECT count(*) FROM suspects").await {
            none if none == "0" => Ok(()),
            some => Err(some),
        }
    })
    .await;
    assert!(!world.dispatchers[0].has_ended(), "it has not died again");
}
