//! Cryptlex: event, data and time in the body, the signature in base64, and an event log.

use serde_json::{Value, json};

use super::{Endpoint, each_attempt, hmac};
use crate::world::{PATIENCE, Plan, World};

#[tokio::test]
async fn cryptlex_s_guide_can_be_followed() {
    let world = World::start(Plan {
        time_scale: 0.01,
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;
    let token = "a-token-of-our-own-choosing";
    let form = |path: &str, status: &str| {
        json!({
            "name": "CRM", "url": world.receiver.url_of(path), "secret": token,
            "events": ["license.created", "license.expired"], "status": status,
            "profile": "cryptlex",
        })
    };
    let active = Endpoint::create(&world, "acme", form("/active", "active")).await;
    let inactive = Endpoint::create(&world, "acme", form("/inactive", "disabled")).await;

    let license = json!({"key": "D08B53-C564F8-463EA5-F16A15-E35D6E-D2559B"});
    world
        .event("acme", "license.created", license.clone())
        .await;
    let request = world.receiver.wait_for_on("/active", 1, PATIENCE).await;
    let request = &request[0];
    assert_eq!(request.method, "POST");
    assert_eq!(
        request.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    let length = request.body.len().to_string();
    assert_eq!(request.header("content-length"), Some(length.as_str()));
    let signature = hmac::base64_of(token, &request.body);
    assert_eq!(
        request.header("webhook-signature"),
        Some(signature.as_str())
    );
    let body = request.json().unwrap();
    let fields: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["event", "data", "triggeredAt"]);
    assert_eq!(body["event"], "license.created");
    assert_eq!(body["data"], license);
    // 2018-04-20T13:11:34.6926949Z
    let triggered_at = body["triggeredAt"].as_str().unwrap();
    assert_eq!(triggered_at.len(), 28, "{triggered_at}");
    chrono::DateTime::parse_from_rfc3339(triggered_at).unwrap();

    // One that is not active sends nothing.
    inactive.deliveries(&["discarded"], 1).await;
    assert_eq!(world.receiver.received_on("/inactive").len(), 0);

    // The log: each request's status code, when it left, when it was answered, why it was repeated.
    active.deliveries(&["succeeded"], 1).await;
    world.receiver.replies_on("/active", [503, 200]);
    world.event("acme", "license.expired", license).await;
    let deliveries = active.deliveries(&["succeeded"], 2).await;
    let story = active.story(&deliveries[0]).await;
    assert_eq!(each_attempt(&story, "status_code"), [503, 200]);
    for attempt in story["attempts"].as_array().unwrap() {
        let time = |field: &str| attempt[field].as_str().unwrap().to_owned();
        assert!(time("requested_at") <= time("responded_at"));
    }
    let reasons = each_attempt(&story, "retry_reason");
    let reason = reasons[0].as_str().unwrap();
    assert!(reason.contains("503"), "{reason}");
    assert_eq!(reasons[1], Value::Null, "nothing follows a success");
}
