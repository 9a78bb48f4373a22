//! Retries through the real tiers.

use std::time::Duration;

use serde_json::{Value, json};
use signpost_testkit::Reply;

use crate::world::{PATIENCE, Plan, World};

fn scaled() -> Plan {
    Plan {
        time_scale: 0.01,
        ..Plan::default()
    }
}

fn numbers(delivery: &Value) -> Vec<u64> {
    delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["number"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn license_manager_tries_again_after_one_and_two_seconds() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/lm", json!({"profile": "license-manager"}))
        .await;
    world.receiver.replies_on("/lm", [500, 500, 200]);
    world
        .event("acme", "license.expiring", json!({"license_id": 123}))
        .await;
    let requests = world.receiver.wait_for_on("/lm", 3, PATIENCE).await;
    let gaps: Vec<_> = requests
        .windows(2)
        .map(|pair| pair[1].received_at - pair[0].received_at)
        .collect();
    for (gap, seconds) in gaps.iter().zip([1, 2]) {
        let wanted = Duration::from_secs(seconds);
        assert!(
            *gap >= wanted && *gap < wanted + Duration::from_secs(5),
            "{gaps:?}"
        );
    }
    let deliveries = world.until_deliveries("acme", "", &["succeeded"], 1).await;
    let delivery = world.delivery("acme", &deliveries[0]).await;
    assert_eq!(numbers(&delivery), [1, 2, 3]);
    assert_eq!(delivery["attempts"][0]["status_code"], 500);
    assert_eq!(delivery["attempts"][0]["trigger"], "event");
    assert_eq!(delivery["attempts"][1]["trigger"], "retry");
    assert!(
        delivery["attempts"][0]["retry_reason"]
            .as_str()
            .unwrap()
            .contains("retry 1 of 3")
    );
    assert!(delivery["attempts"][0]["next_attempt_at"].is_string());
}

#[tokio::test]
async fn privato_fails_for_good_at_the_third_attempt_after_ten_and_a_hundred_seconds() {
    let world = World::start(scaled()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/p", json!({"profile": "privato"}))
        .await;
    world.receiver.replies_on("/p", [500, 404, 301]);
    world
        .event("acme", "release.published", json!({"id": 1}))
        .await;
    let deliveries = world.until_deliveries("acme", "", &["failed"], 1).await;
    let delivery = world.delivery("acme", &deliveries[0]).await;
    assert_eq!(numbers(&delivery), [1, 2, 3]);
    assert_eq!(delivery["last_status_code"], 301);
    let dispatcher = &world.dispatchers[0];
    assert_eq!(
        dispatcher
            .metric("signpost_retries_scheduled_total{tier=\"10s\"}")
            .await,
        1
    );
    assert_eq!(
        dispatcher
            .metric("signpost_retries_scheduled_total{tier=\"100s\"}")
            .await,
        1
    );
    let at = |n: usize| world.receiver.received_on("/p")[n].received_at;
    assert!(
        at(1) - at(0) >= Duration::from_millis(100),
        "10 s, scaled to a hundredth"
    );
    assert!(
        at(2) - at(1) >= Duration::from_millis(1000),
        "100 s, scaled to a hundredth"
    );
    assert_eq!(
        world.receiver.received_on("/p").len(),
        3,
        "the redirect was not followed"
    );
}

#[tokio::test]
async fn inprivy_takes_nothing_but_200() {
    let world = World::start(scaled()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/i", json!({"profile": "inprivy"}))
        .await;
    world.receiver.replies_on("/i", [204, 301, 200]);
    world
        .event("acme", "secret_opened_successful", json!({"open_count": 1}))
        .await;
    let deliveries = world.until_deliveries("acme", "", &["succeeded"], 1).await;
    let delivery = world.delivery("acme", &deliveries[0]).await;
    let outcomes: Vec<_> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["http_error", "http_error", "succeeded"]);
}

#[tokio::test]
async fn an_answer_of_4xx_is_final_for_license_manager() {
    let world = World::start(scaled()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/lm", json!({"profile": "license-manager"}))
        .await;
    world.receiver.replies_on("/lm", [422]);
    world.event("acme", "license.expired", json!({})).await;
    let deliveries = world.until_deliveries("acme", "", &["failed"], 1).await;
    assert_eq!(deliveries[0]["attempt_count"], 1);
    assert_eq!(deliveries[0]["last_status_code"], 422);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_at_the_timeout() {
    let world = World::start(scaled()).await;
    world.tenant("acme").await;
    world
        .endpoint(
            "acme",
            "/h",
            json!({"profile": "license-manager", "timeout": "300ms", "retry": {"delays": []}}),
        )
        .await;
    world.receiver.replies_on("/h", [Reply::hang()]);
    world.event("acme", "a.b", json!({})).await;
    let deliveries = world.until_deliveries("acme", "", &["failed"], 1).await;
    let delivery = world.delivery("acme", &deliveries[0]).await;
    assert_eq!(delivery["attempts"][0]["outcome"], "timeout");
    let took = delivery["attempts"][0]["duration_ms"].as_u64().unwrap();
    assert!((300..5_000).contains(&took), "{took}");
}

#[tokio::test]
async fn retry_after_makes_the_wait_longer() {
    let world = World::start(scaled()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/r", json!({"profile": "license-manager"}))
        .await;
    world.receiver.replies_on(
        "/r",
        [
            Reply::status(503).header("Retry-After", "50"),
            Reply::status(200),
        ],
    );
    world.event("acme", "a.b", json!({})).await;
    let deliveries = world.until_deliveries("acme", "", &["succeeded"], 1).await;
    let delivery = world.delivery("acme", &deliveries[0]).await;
    assert!(
        delivery["attempts"][0]["retry_reason"]
            .as_str()
            .unwrap()
            .contains("Retry-After")
    );
    let requests = world.receiver.received_on("/r");
    assert!(requests[1].received_at - requests[0].received_at >= Duration::from_millis(500));
}

#[tokio::test]
async fn gone_ends_the_delivery_and_disables_the_endpoint() {
    let world = World::start(scaled()).await;
    world.tenant("acme").await;
    let endpoint = world.endpoint("acme", "/gone", json!({})).await;
    world.receiver.replies_on("/gone", [410]);
    world.event("acme", "a.b", json!({})).await;
    world.until_deliveries("acme", "", &["failed"], 1).await;
    let path = format!(
        "/v1/tenants/acme/endpoints/{}",
        endpoint["id"].as_str().unwrap()
    );
    signpost_testkit::wait_until("the endpoint is disabled", PATIENCE, async || {
        let endpoint = world.api.get(&path).await.expect(&[200]).json();
        if endpoint["status"] == "disabled" {
            Ok(())
        } else {
            Err(endpoint)
        }
    })
    .await;
    world.event("acme", "a.b", json!({})).await;
    world
        .until_deliveries("acme", "", &["failed", "discarded"], 2)
        .await;
    assert_eq!(world.receiver.received_on("/gone").len(), 1);
}
