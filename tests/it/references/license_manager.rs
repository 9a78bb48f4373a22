//! License Manager: an optional secret, and 4xx is final.

use serde_json::{Value, json};

use super::{Endpoint, assert_waits, each_attempt, hmac};
use crate::world::{PATIENCE, Plan, World};

#[tokio::test]
async fn license_manager_s_guide_can_be_followed() {
    let world = World::start(Plan {
        time_scale: 0.1,
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;
    let settings = |path: &str, secret: Value| {
        json!({
            "name": path, "url": world.receiver.url_of(path), "profile": "license-manager",
            "events": ["license.expiring", "license.expired", "license.update_support_expired"],
            "secret": secret,
        })
    };
    let secret = "your-webhook-secret";
    let signed = Endpoint::create(&world, "acme", settings("/signed", json!(secret))).await;
    let unsigned = Endpoint::create(&world, "acme", settings("/unsigned", Value::Null)).await;
    assert_eq!(unsigned.created["secret"], Value::Null);

    let license = json!({
        "license_id": 123, "license_code": "LIC-ABC-123", "product_id": "PROD-001",
        "product_reference_id": "My Product", "customer_id": "CUST-001",
        "expires_at": "2024-01-22T10:30:00Z", "days_until_expiry": 7,
    });
    world
        .event("acme", "license.expiring", license.clone())
        .await;
    for (path, is_signed) in [("/signed", true), ("/unsigned", false)] {
        let request = world.receiver.wait_for_on(path, 1, PATIENCE).await;
        let request = &request[0];
        let header = |name: &str| request.header(name);
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("x-webhook-event"), Some("license.expiring"));
        assert_eq!(header("user-agent"), Some("LicenseManager-Webhook/1.0"));
        let expected = is_signed.then(|| hmac::hex_of(secret, &request.body));
        assert_eq!(header("x-webhook-signature"), expected.as_deref(), "{path}");
        let body = request.json().unwrap();
        let fields: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["event_type", "timestamp", "payload"]);
        assert_eq!(body["event_type"], "license.expiring");
        assert_eq!(body["payload"], license);
        let timestamp = body["timestamp"].as_str().unwrap();
        assert_eq!(timestamp.len(), "2024-01-15T10:30:00Z".len(), "{timestamp}");
    }
    // A test send of the unsigned one goes out unsigned, too.
    let tested = unsigned.test(&json!({"type": "license.expired"})).await;
    assert_eq!(tested["success"], true, "{tested}");
    let requests = world.receiver.received_on("/unsigned");
    assert_eq!(requests[1].header("x-webhook-signature"), None);
    unsigned.set(json!({"status": "disabled"})).await;
    signed.deliveries(&["succeeded"], 1).await;

    // 5xx: after one, two and four seconds, then abandoned.
    world.receiver.replies_on("/signed", [500, 502, 503, 500]);
    world
        .event("acme", "license.expired", license.clone())
        .await;
    let deliveries = signed.deliveries(&["succeeded", "failed"], 2).await;
    let story = signed.story(&deliveries[0]).await;
    assert_eq!(each_attempt(&story, "status_code"), [500, 502, 503, 500]);
    assert_waits(&story, &[100, 200, 400]);

    // 4xx: no retry.
    world.receiver.replies_on("/signed", [400]);
    world
        .event("acme", "license.update_support_expired", license)
        .await;
    let deliveries = signed.deliveries(&["succeeded", "failed"], 3).await;
    assert_eq!(deliveries[0]["status"], "failed");
    assert_eq!(deliveries[0]["attempt_count"], 1);
}
