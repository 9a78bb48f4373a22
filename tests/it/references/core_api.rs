//! Core API: workspaces, wildcards, filters, the delivery list, retries by hand, test sends.

use serde_json::{Value, json};
use signpost_testkit::{Received, Reply};

use super::{Endpoint, assert_waits, each_attempt, hmac};
use crate::world::{PATIENCE, Plan, World};

/// `whsec_` and 32 random letters: the text as it stands is the key.
const SECRET: &str = "whsec_Zk3vQ9xT1mB7yL5sR8wN2pD6hJ4cF0aE";

fn verify(request: &Received) {
    let expected = format!("sha256={}", hmac::hex_of(SECRET, &request.body));
    assert_eq!(
        request.header("x-webhook-signature"),
        Some(expected.as_str())
    );
}

fn types(requests: &[Received]) -> Vec<Value> {
    let of = |request: &Received| request.json().unwrap()["type"].clone();
    requests.iter().map(of).collect()
}

#[tokio::test]
async fn core_api_s_guide_to_sending_can_be_followed() {
    let world = World::start(Plan::default()).await;
    world.tenant("456").await;
    let webhook = |path: &str, settings: Value| {
        let mut body = json!({
            "name": path, "url": world.receiver.url_of(path), "secret": SECRET,
            "status": "active", "profile": "core-api",
        });
        for (name, value) in settings.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let exact = webhook(
        "/exact",
        json!({"events": ["post.created", "post.updated"]}),
    );
    let exact = Endpoint::create(&world, "456", exact).await;
    let filtered = json!({"events": ["post.*"], "filter": {"status": "published"}});
    let filtered = Endpoint::create(&world, "456", webhook("/filtered", filtered)).await;
    let all = Endpoint::create(&world, "456", webhook("/all", json!({"events": ["*"]}))).await;

    let post = json!({
        "id": 123, "title": "My Blog Post", "url": "https://example.com/posts/my-blog-post",
    });
    let id = world.event("456", "post.created", post.clone()).await;
    let published = json!({"post_id": 123, "status": "published", "author": {"id": 7}});
    world.event("456", "post.published", published).await;
    world.event("456", "page.created", json!({"id": 9})).await;
    exact.deliveries(&["succeeded"], 1).await;
    filtered.deliveries(&["succeeded"], 1).await;
    all.deliveries(&["succeeded"], 3).await;
    assert_eq!(
        types(&world.receiver.received_on("/filtered")),
        ["post.published"]
    );

    let requests = world.receiver.received_on("/exact");
    let request = &requests[0];
    verify(request);
    assert_eq!(request.header("x-webhook-id"), Some(id.as_str()));
    let timestamp = request.header("x-webhook-timestamp").unwrap();
    assert_eq!(timestamp.len(), "1640995200".len(), "{timestamp}");
    timestamp.parse::<u64>().unwrap();
    let body = request.json().unwrap();
    let created_at = body["created_at"].as_str().unwrap();
    assert_eq!(created_at.len(), "2024-01-15T10:30:00Z".len());
    assert_eq!(
        body,
        json!({
            "id": id, "type": "post.created", "created_at": created_at,
            "data": {"object": post}, "workspace_id": 456,
        })
    );

    // The list of webhooks, disable, enable.
    let list = world.api.get("/v1/tenants/456/endpoints").await;
    let list = list.expect(&[200]).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    exact.set(json!({"status": "disabled"})).await;
    world.event("456", "post.updated", json!({"id": 1})).await;
    exact.deliveries(&["succeeded", "discarded"], 2).await;
    exact.set(json!({"status": "active"})).await;
    world.event("456", "post.updated", json!({"id": 2})).await;
    let requests = world.receiver.wait_for_on("/exact", 2, PATIENCE).await;
    assert_eq!(requests.len(), 2);
    let sent = &requests[1].json().unwrap()["data"]["object"];
    assert_eq!(*sent, json!({"id": 2}));
}

#[tokio::test]
async fn core_api_s_guide_to_deliveries_can_be_followed() {
    let world = World::start(Plan {
        time_scale: 0.001,
        ..Plan::default()
    })
    .await;
    world.tenant("456").await;
    let settings = json!({
        "name": "Posts", "url": world.receiver.url_of("/posts"), "secret": SECRET,
        "events": ["post.*"], "profile": "core-api",
    });
    let webhook = Endpoint::create(&world, "456", settings).await;

    // At once, after 1, 5 and 30 minutes.
    let sorry = || Reply::status(500).body("try me later");
    let replies = [sorry(), sorry(), sorry(), sorry()];
    world.receiver.replies_on("/posts", replies);
    let id = world.event("456", "post.created", json!({"id": 1})).await;
    let deliveries = webhook.deliveries(&["failed"], 1).await;
    let failed = &deliveries[0];
    assert_eq!(failed["last_status_code"], 500);
    assert_eq!(failed["attempt_count"], 4);
    let story = webhook.story(failed).await;
    assert_waits(&story, &[60, 300, 1_800]);
    let answers = each_attempt(&story, "response_body");
    assert_eq!(answers, ["try me later"; 4]);
    let requests = world.receiver.received_on("/posts");
    for request in &requests {
        verify(request);
        // What a receiver knows a repeat by.
        assert_eq!(request.json().unwrap()["id"], id.as_str());
    }

    // A person tries again.
    world
        .receiver
        .replies_on("/posts", [Reply::status(200).body("thanks")]);
    webhook.retry(failed).await;
    let deliveries = webhook.deliveries(&["succeeded"], 1).await;
    let story = webhook.story(&deliveries[0]).await;
    let last = &story["attempts"][4];
    assert_eq!(last["trigger"], "manual");
    assert_eq!(last["response_body"], "thanks");

    // A test: sent now, once, and its answer shown.
    let event = json!({"data": {"test": true, "message": "This is a test webhook"}});
    let result = webhook.test(&event).await;
    assert_eq!(result["success"], true);
    assert_eq!(result["status_code"], 200);
    let request = world.receiver.received_on("/posts").pop().unwrap();
    verify(&request);
    assert_eq!(
        request.json().unwrap()["data"]["object"],
        event["data"],
        "what was given is what is sent"
    );
    world.receiver.replies_on("/posts", [500]);
    let result = webhook.test(&event).await;
    assert_eq!(result["success"], false);
    let error = result["error"].as_str().unwrap();
    assert!(error.contains("500"), "{error}");
    let deliveries = webhook.deliveries(&["succeeded", "failed"], 3).await;
    let story = webhook.story(&deliveries[0]).await;
    assert_eq!(each_attempt(&story, "trigger"), ["test"]);
}
