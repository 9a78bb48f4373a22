//! Paused and disabled endpoints, replay and retry by hand.

use serde_json::json;
use signpost_testkit::wait_until;

use crate::world::{PATIENCE, Plan, World};

#[tokio::test]
async fn a_paused_endpoint_holds_its_deliveries_and_gets_them_oldest_first() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    let endpoint = world
        .endpoint(
            "acme",
            "/p",
            json!({"status": "paused", "profile": "privato"}),
        )
        .await;
    for n in 0..5 {
        world.event("acme", "a.b", json!({"n": n})).await;
        world.until_deliveries("acme", "", &["held"], n + 1).await;
    }
    assert_eq!(world.receiver.count(), 0);
    let path = format!(
        "/v1/tenants/acme/endpoints/{}",
        endpoint["id"].as_str().unwrap()
    );
    world
        .api
        .patch(&path, &json!({"status": "active"}))
        .await
        .expect(&[200]);
    world.until_deliveries("acme", "", &["succeeded"], 5).await;
    assert_eq!(world.receiver.received_on("/p").len(), 5);
}

#[tokio::test]
async fn a_disabled_endpoint_gets_nothing_and_leaves_a_trace() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/d", json!({"status": "disabled"}))
        .await;
    world.event("acme", "a.b", json!({})).await;
    world.until_deliveries("acme", "", &["discarded"], 1).await;
    assert_eq!(world.receiver.count(), 0);
}

#[tokio::test]
async fn a_failed_delivery_can_be_tried_again_and_an_event_replayed() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/r", json!({"retry": {"delays": []}}))
        .await;
    world.receiver.replies_on("/r", [500, 200, 200]);
    let id = world.event("acme", "a.b", json!({"n": 1})).await;
    let deliveries = world.until_deliveries("acme", "", &["failed"], 1).await;
    let path = format!(
        "/v1/tenants/acme/deliveries/{}/retry",
        deliveries[0]["id"].as_str().unwrap()
    );
    world.api.post(&path, &json!({})).await.expect(&[202]);
    let deliveries = world.until_deliveries("acme", "", &["succeeded"], 1).await;
    let delivery = world.delivery("acme", &deliveries[0]).await;
    assert_eq!(delivery["attempts"][1]["trigger"], "manual");
    world
        .api
        .post(&format!("/v1/tenants/acme/events/{id}/replay"), &json!({}))
        .await
        .expect(&[202]);
    let requests = world.receiver.wait_for_on("/r", 3, PATIENCE).await;
    assert_eq!(requests[0].body, requests[2].body);
}

#[tokio::test]
async fn a_delivery_that_waits_for_its_retry_can_be_sent_at_once() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/w", json!({"retry": {"delays": ["10m"]}}))
        .await;
    world.receiver.replies_on("/w", [500, 200]);
    world.event("acme", "a.b", json!({})).await;
    world.receiver.wait_for_on("/w", 1, PATIENCE).await;
    let waiting = world.until_deliveries("acme", "", &["pending"], 1).await;
    let path = format!(
        "/v1/tenants/acme/deliveries/{}/retry",
        waiting[0]["id"].as_str().unwrap()
    );
    // Until its first attempt is recorded the answer is 409.
    wait_until("it is sent again", PATIENCE, async || {
        let answer = world.api.post(&path, &json!({})).await.expect(&[202, 409]);
        if answer.status == 202 {
            Ok(())
        } else {
            Err(answer.status)
        }
    })
    .await;
    let deliveries = world.until_deliveries("acme", "", &["succeeded"], 1).await;
    let delivery = world.delivery("acme", &deliveries[0]).await;
    assert_eq!(delivery["attempts"][1]["trigger"], "manual");
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2);
}
