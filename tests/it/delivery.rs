//! An event in, signed webhooks out.

use serde_json::json;
use signpost_domain::{Clock as _, SystemClock};
use signpost_testkit::Received;
use signpost_wire::{DEFAULT_TOLERANCE, find_builtin};

use crate::world::{PATIENCE, Plan, World};

/// Verifies a request as its receiver would.
fn verify(profile: &str, request: &Received, secret: &str) {
    let profile = find_builtin(profile).unwrap();
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let key = profile.verifying_key(secret).unwrap();
    profile
        .verify(
            &headers,
            &request.body,
            &[key],
            SystemClock.now(),
            Some(DEFAULT_TOLERANCE),
        )
        .unwrap();
}

#[tokio::test]
async fn every_built_in_profile_arrives_signed_and_each_only_once() {
    let world = World::start(Plan {
        dispatchers: 2,
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;
    let tenant_secret = world
        .api
        .get("/v1/tenants/acme/secret")
        .await
        .expect(&[200])
        .json();
    let mut secrets = Vec::new();
    for builtin in signpost_wire::builtin() {
        let path = format!("/{}", builtin.name);
        let made = world
            .endpoint("acme", &path, json!({"profile": builtin.name}))
            .await;
        let secret = made["secret"]
            .as_str()
            .or_else(|| tenant_secret["secret"].as_str())
            .unwrap();
        secrets.push((builtin.name, path, secret.to_owned()));
    }
    let id = world
        .event(
            "acme",
            "license.created",
            json!({"key": "D08B53", "price": 1.5}),
        )
        .await;
    world
        .until_deliveries("acme", "", &["succeeded"], secrets.len())
        .await;
    for (profile, path, secret) in &secrets {
        let requests = world.receiver.received_on(path);
        assert_eq!(requests.len(), 1, "{profile}");
        verify(profile, &requests[0], secret);
        assert_eq!(
            requests[0].header("content-length"),
            Some(requests[0].body.len().to_string().as_str())
        );
    }
    let standard = &world.receiver.received_on("/standard-webhooks")[0];
    assert_eq!(standard.header("webhook-id"), Some(id.as_str()));
}

#[tokio::test]
async fn data_arrives_byte_for_byte_on_every_attempt() {
    let world = World::start(Plan {
        time_scale: 0.01,
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/raw", json!({"profile": "privato"}))
        .await;
    world.receiver.replies_on("/raw", [500, 500, 200]);
    let data =
        r#"{"b": 1.0,"a":12345678901234567890, "e":1e400,"u":"\u00e9é","n":{"z":[ 1 , 2.50 ]}}"#;
    let event = format!(r#"{{"type":"a.b","data":{data}}}"#);
    world
        .api
        .post_raw("/v1/tenants/acme/events", event)
        .await
        .expect(&[202]);
    let requests = world.receiver.wait_for_on("/raw", 3, PATIENCE).await;
    for request in &requests {
        assert_eq!(request.body, data);
    }
    let deliveries = world.until_deliveries("acme", "", &["succeeded"], 1).await;
    let shown = world.delivery("acme", &deliveries[0]).await;
    assert_eq!(shown["attempts"][0]["request_body"], data);
}

#[tokio::test]
async fn patterns_and_filters_choose_the_endpoints() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world.tenant("other").await;
    let wants = [
        ("/all", json!({"events": ["*"]}), true),
        ("/exact", json!({"events": ["post.created"]}), true),
        ("/below", json!({"events": ["post.*"]}), true),
        ("/word", json!({"events": ["*.created"]}), true),
        (
            "/elsewhere",
            json!({"events": ["user.*", "post.updated"]}),
            false,
        ),
        (
            "/filtered-in",
            json!({"filter": {"status": "published", "views": {"$gte": 10}}}),
            true,
        ),
        (
            "/filtered-out",
            json!({"filter": {"status": "draft"}}),
            false,
        ),
    ];
    for (path, settings, _) in &wants {
        world.endpoint("acme", path, settings.clone()).await;
    }
    world.endpoint("other", "/other", json!({})).await;
    world
        .event(
            "acme",
            "post.created",
            json!({"status": "published", "views": 12}),
        )
        .await;
    let expected = wants.iter().filter(|(_, _, wanted)| *wanted).count();
    world
        .until_deliveries("acme", "", &["succeeded"], expected)
        .await;
    for (path, _, wanted) in &wants {
        assert_eq!(
            world.receiver.received_on(path).len(),
            usize::from(*wanted),
            "{path}"
        );
    }
    assert_eq!(world.receiver.received_on("/other").len(), 0);
}

#[tokio::test]
async fn the_same_id_again_delivers_nothing_again_and_other_content_is_rejected() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world.endpoint("acme", "/hook", json!({})).await;
    let path = "/v1/tenants/acme/events";
    let event = json!({"id": "order-1", "type": "a.b", "data": {"n": 1}});
    for _ in 0..3 {
        world.api.post(path, &event).await.expect(&[202]);
    }
    world
        .api
        .post(
            path,
            &json!({"id": "order-1", "type": "a.b", "data": {"n": 2}}),
        )
        .await
        .expect(&[202]);
    world
        .api
        .post(
            path,
            &json!({"id": "order-2", "type": "a.b", "data": {"n": 3}}),
        )
        .await
        .expect(&[202]);
    world.until_deliveries("acme", "", &["succeeded"], 2).await;
    let rejected =
        signpost_testkit::wait_until("the reused id is rejected", PATIENCE, async || {
            let list = world.api.get("/v1/rejected").await.expect(&[200]).json();
            let items = list["items"].as_array().unwrap().clone();
            if items.len() == 1 {
                Ok(items)
            } else {
                Err(list)
            }
        })
        .await;
    assert_eq!(rejected[0]["reason"], "id_reused");
    assert_eq!(world.receiver.received_on("/hook").len(), 2);
}

#[tokio::test]
async fn the_contract_s_metrics_move() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world.endpoint("acme", "/hook", json!({})).await;
    world.event("acme", "a.b", json!({})).await;
    world.until_deliveries("acme", "", &["succeeded"], 1).await;
    let ingest = &world.ingest;
    assert_eq!(
        ingest
            .metric("signpost_events_accepted_total{source=\"http\"}")
            .await,
        1
    );
    assert!(
        ingest
            .metric("signpost_publish_confirm_seconds_count")
            .await
            >= 1
    );
    // Looked at twice a second.
    for process in [ingest, &world.dispatchers[0]] {
        signpost_testkit::wait_until("the broker is seen as connected", PATIENCE, async || {
            match process.metric("signpost_broker_connected").await {
                1 => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
    let dispatcher = &world.dispatchers[0];
    for (series, value) in [
        ("signpost_events_accepted_total{source=\"amqp\"}", 0),
        ("signpost_fanout_deliveries_total", 1),
        ("signpost_attempts_total{outcome=\"succeeded\"}", 1),
        ("signpost_attempts_total{outcome=\"timeout\"}", 0),
        ("signpost_attempt_duration_seconds_count", 1),
        ("signpost_event_to_first_attempt_seconds_count", 1),
        ("signpost_retries_scheduled_total{tier=\"10s\"}", 0),
        (
            "signpost_deliveries_finished_total{status=\"succeeded\"}",
            1,
        ),
        ("signpost_deliveries_in_flight", 0),
    ] {
        assert_eq!(dispatcher.metric(series).await, value, "{series}");
    }
    assert!(
        dispatcher
            .metric("signpost_ledger_write_seconds_count")
            .await
            >= 1
    );
}
