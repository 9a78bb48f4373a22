//! `InPrivy`: one signing secret for the account, and nothing but 200 is a success.

use serde_json::json;
use signpost_testkit::Reply;

use super::{Endpoint, each_attempt, hmac};
use crate::world::{PATIENCE, Plan, World};

#[tokio::test]
async fn inprivy_s_guide_can_be_followed() {
    let world = World::start(Plan {
        time_scale: 0.01,
        ..Plan::default()
    })
    .await;
    world.tenant("account").await;
    let answer = world.api.get("/v1/tenants/account/secret").await;
    let account = answer.expect(&[200]).json();
    let secret = account["secret"].as_str().unwrap();

    let settings = |path: &str, event: &str| {
        json!({
            "name": path, "url": world.receiver.url_of(path), "profile": "inprivy",
            "events": [event],
        })
    };
    let opened = settings("/opened", "secret_opened_successful");
    let opened = Endpoint::create(&world, "account", opened).await;
    let shared = settings("/shared", "public_shared_successful");
    let shared = Endpoint::create(&world, "account", shared).await;
    assert!(opened.created["secret"].is_null(), "the account has it");

    let data = json!({
        "id": "dd5ff91d-f906-4123-9058-c9d7163d6d69", "type": "secret_opened_successful",
        "label": "Webhook Test", "open_count": 1, "open_limit": 1, "expired": false,
    });
    world
        .event("account", "secret_opened_successful", data.clone())
        .await;
    let request = world.receiver.wait_for_on("/opened", 1, PATIENCE).await;
    let computed = hmac::hex_of(secret, &request[0].body);
    assert_eq!(
        request[0].header("inprivy-signature"),
        Some(computed.as_str())
    );
    assert_eq!(request[0].json().unwrap(), json!({"data": data}));
    opened.deliveries(&["succeeded"], 1).await;

    // A redirect fails as another 2xx does; the same payload comes three times in all.
    world.receiver.replies_on("/shared", [301, 201, 500, 200]);
    let data = json!({"type": "public_shared_successful", "expires_at": "2023-02-16 17:44:27"});
    world
        .event("account", "public_shared_successful", data)
        .await;
    let failed = shared.deliveries(&["failed"], 1).await;
    let story = shared.story(&failed[0]).await;
    assert_eq!(each_attempt(&story, "status_code"), [301, 201, 500]);
    let requests = world.receiver.received_on("/shared");
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|other| {
        other.body == requests[0].body
            && other.header("inprivy-signature") == requests[0].header("inprivy-signature")
    }));

    // So does an answer that takes three seconds.
    world
        .receiver
        .replies_on("/opened", [Reply::hang(), Reply::status(200)]);
    world
        .event("account", "secret_opened_successful", json!({}))
        .await;
    let deliveries = opened.deliveries(&["succeeded"], 2).await;
    let story = opened.story(&deliveries[0]).await;
    assert_eq!(each_attempt(&story, "outcome"), ["timeout", "succeeded"]);
    let waited = story["attempts"][0]["duration_ms"].as_u64().unwrap();
    assert!((3_000..5_000).contains(&waited), "{waited}");
}
