//! What Signpost does by itself with endpoints, deliveries and old things, and how tenants hear of
//! it.

use serde_json::{Value, json};
use signpost_testkit::{Received, wait_until};

use crate::world::{PATIENCE, Plan, World};

/// The first request on `path` whose event has this type.
async fn announced(world: &World, path: &str, event_type: &str) -> Value {
    let request: Received = wait_until(event_type, PATIENCE, async || {
        let received = world.receiver.received_on(path);
        let of_type = |request: &Received| body(request)["type"] == event_type;
        received.into_iter().find(of_type).ok_or("not yet")
    })
    .await;
    body(&request)["data"].clone()
}

fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn a_failed_delivery_and_a_disabled_endpoint_are_announced_and_cause_nothing_further() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    let once = json!({"delays": []});
    let shop = json!({"events": ["order.*"], "retry": once});
    let shop = world.endpoint("acme", "/shop", shop).await;
    let gone = json!({"events": ["order.*"], "retry": once});
    let gone = world.endpoint("acme", "/gone", gone).await;
    // The operators' own endpoint refuses what it is told: that is nobody's news.
    let ops = json!({"events": ["delivery.*", "endpoint.*"], "retry": once});
    world.endpoint("acme", "/ops", ops).await;
    world.receiver.replies_on("/shop", [500; 9]);
    world.receiver.replies_on("/gone", [410]);
    world.receiver.replies_on("/ops", [500; 9]);
    let event = world.event("acme", "order.paid", json!({})).await;

    let disabled = announced(&world, "/ops", "endpoint.disabled").await;
    assert_eq!(disabled["endpoint_id"], gone["id"]);
    assert!(disabled["reason"].as_str().unwrap().contains("410"));
    let failed = wait_until("both failures are told", PATIENCE, async || {
        let told = world.receiver.received_on("/ops");
        let data: Vec<Value> = told
            .iter()
            .map(|request| body(request)["data"].clone())
            .collect();
        let failed: Vec<Value> = data
            .into_iter()
            .filter(|data| !data["delivery_id"].is_null())
            .collect();
        if failed.len() == 2 {
            Ok(failed)
        } else {
            Err(failed)
        }
    })
    .await;
    let of_shop = failed
        .iter()
        .find(|data| data["endpoint_id"] == shop["id"])
        .unwrap();
    assert_eq!(
        [
            &of_shop["event_id"],
            &of_shop["event_type"],
            &of_shop["last_status_code"]
        ],
        [&json!(event), &json!("order.paid"), &json!(500)]
    );
    // The failed deliveries to the operators' endpoint are in the ledger, and in no event.
    world
        .until_deliveries("acme", "&event_type=delivery.failed", &["failed"], 2)
        .await;
    assert_eq!(world.sql("SELECT count(*) FROM events").await, "4");
}

#[tokio::test]
async fn an_endpoint_that_fails_for_days_is_paused_and_one_that_recovers_is_announced() {
    let world = World::start(Plan {
        time_scale: 0.02,
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;
    let often = json!({"events": ["order.*"], "retry": {"delays": vec!["1m"; 100]}});
    let shop = world.endpoint("acme", "/shop", often).await;
    let ops = json!({"events": ["endpoint.*"]});
    world.endpoint("acme", "/ops", ops).await;
    world.receiver.answer_with(|request| {
        signpost_testkit::Reply::status(if request.path == "/shop" { 500 } else { 200 })
    });
    world.event("acme", "order.paid", json!({})).await;
    let noted = "SELECT count(*) FROM endpoints WHERE failing_since IS NOT NULL";
    wait_until("the failing endpoint is noted", PATIENCE, async || {
        if world.sql(noted).await == "1" {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    // Six days pass.
    world
        .sql("UPDATE endpoints SET failing_since = now() - interval '6 days' WHERE failing_since IS NOT NULL")
        .await;
    let paused = announced(&world, "/ops", "endpoint.paused").await;
    assert_eq!(paused["endpoint_id"], shop["id"]);
    let path = format!(
        "/v1/tenants/acme/endpoints/{}",
        shop["id"].as_str().unwrap()
    );
    let shown = world.api.get(&path).await.expect(&[200]).json();
    assert_eq!(shown["status"], "paused");
    assert!(shown["status_reason"].as_str().unwrap().contains("5 days"));

    // A person resumes it, it fails on for a while, then its receiver is well again.
    world
        .api
        .patch(&path, &json!({"status": "active"}))
        .await
        .expect(&[200]);
    wait_until("it is noted again", PATIENCE, async || {
        if world.sql(noted).await == "1" {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    world
        .receiver
        .answer_with(|_| signpost_testkit::Reply::status(200));
    let recovering = announced(&world, "/ops", "endpoint.recovering").await;
    assert_eq!(recovering["endpoint_id"], shop["id"]);
    world
        .until_deliveries("acme", "&event_type=order.paid", &["succeeded"], 1)
        .await;
}

#[tokio::test]
async fn old_rows_are_removed_and_old_bodies_emptied() {
    let mut world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world.endpoint("acme", "/a", json!({})).await;
    let recent = world.event("acme", "a.b", json!({"n": 1})).await;
    world.until_deliveries("acme", "", &["succeeded"], 1).await;
    for (id, days) in [("old", 40), ("older-body", 8)] {
        let insert = format!(
            "INSERT INTO events (tenant, id, type, data, occurred_at, created_at, content_hash)
             SELECT 'acme', '{id}', 'a.b', '{{}}', t, t, '' FROM
                (SELECT now() - interval '{days} days' AS t) AS times"
        );
        world.sql(&insert).await;
    }
    // Retention begins when a dispatcher does.
    world.dispatchers[0].kill();
    world.dispatchers[0].start_again();
    wait_until("what is old is gone", PATIENCE, async || {
        let left = "SELECT string_agg(id || CASE WHEN data IS NULL THEN ' empty' ELSE '' END, ', '
            ORDER BY created_at) FROM events";
        let left = world.sql(left).await;
        if left == format!("older-body empty, {recent}") {
            Ok(())
        } else {
            Err(left)
        }
    })
    .await;
}

#[tokio::test]
async fn an_erased_tenant_leaves_nothing_behind() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/a", json!({"profile": "privato"}))
        .await;
    world.receiver.replies_on("/a", [500; 9]);
    world
        .event("acme", "a.b", json!({"secret": "of acme"}))
        .await;
    wait_until("an attempt has failed", PATIENCE, async || {
        if world.receiver.count() > 0 {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    world.api.delete("/v1/tenants/acme").await.expect(&[204]);
    wait_until("nothing of the tenant is left", PATIENCE * 2, async || {
        let left = world
            .sql(
                "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM deliveries)
                    + (SELECT count(*) FROM attempts) + (SELECT count(*) FROM endpoints)
                    + (SELECT count(*) FROM tenants WHERE id = 'acme')",
            )
            .await;
        if left == "0" { Ok(()) } else { Err(left) }
    })
    .await;
    // What was said of it in the queues is dropped without a trace when it comes up.
    let rejected = world.api.get("/v1/rejected").await.expect(&[200]).json();
    assert_eq!(rejected["items"], json!([]));
}
