//! Privato: the data alone in the body, `X-Signature`, two retries.

use serde_json::json;

use super::{Endpoint, assert_waits, each_attempt, hmac};
use crate::world::{PATIENCE, Plan, World};

#[tokio::test]
async fn privato_s_guide_can_be_followed() {
    let world = World::start(Plan {
        time_scale: 0.01,
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;

    // A name, a URL and at least one event must be there.
    let path = "/v1/tenants/acme/endpoints";
    let problem = world.api.post(path, &json!({"profile": "privato"})).await;
    let problem = problem.expect(&[422]).json();
    let missing = problem["errors"].as_array().unwrap().iter();
    let missing: Vec<_> = missing.map(|error| error["pointer"].clone()).collect();
    assert_eq!(missing, ["/name", "/url", "/events"]);

    let settings = json!({
        "name": "Licences", "url": world.receiver.url_of("/privato"), "profile": "privato",
        "events": ["license.created", "license.updated", "package.downloaded"],
    });
    let endpoint = Endpoint::create(&world, "acme", settings).await;
    // Made for us, and found again in the endpoint's details.
    let secret = endpoint.secret().await;
    assert_eq!(endpoint.created["secret"], secret.as_str());

    let license = json!({
        "id": 1, "key": "ABC123-DEF456-GHI789", "short_key": "ABC123",
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
        "package": {"id": 1, "name": "Example Package", "repository": "vendor/package"},
        "customer": {"id": 1, "name": "John Doe", "marketing_consent": true},
    });
    world
        .event("acme", "license.created", license.clone())
        .await;
    world
        .event("acme", "license.deleted", json!({"id": 2}))
        .await;
    let request = world.receiver.wait_for_on("/privato", 1, PATIENCE).await;
    let request = &request[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.json().unwrap(), license);
    let hash = hmac::hex_of(&secret, &request.body);
    assert_eq!(request.header("x-signature"), Some(hash.as_str()));
    endpoint.deliveries(&["succeeded"], 1).await;

    // Whatever is not 2xx fails: again after 10 and 100 seconds, and then no more.
    world.receiver.replies_on("/privato", [500, 302, 404]);
    world
        .event("acme", "package.downloaded", json!({"id": 1}))
        .await;
    let deliveries = endpoint.deliveries(&["succeeded", "failed"], 2).await;
    let story = endpoint.story(&deliveries[0]).await;
    assert_eq!(story["status"], "failed");
    assert_eq!(each_attempt(&story, "status_code"), [500, 302, 404]);
    assert_waits(&story, &[100, 1_000]);
}
