//! Events published straight to the broker, as any service may.

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, LongString},
};
use serde_json::json;

use signpost_testkit::wait_until;

use crate::world::{PATIENCE, Plan, World};

struct Publisher {
    _connection: Connection,
    channel: Channel,
}

impl Publisher {
    async fn connect(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        Self {
            _connection: connection,
            channel,
        }
    }

    async fn publish(&self, key: &str, properties: BasicProperties, body: &[u8]) {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let confirm = self
            .channel
            .basic_publish(
                "signpost.events".into(),
                key.into(),
                options,
                body,
                properties,
            )
            .await
            .unwrap()
            .await
            .unwrap();
        assert!(confirm.is_ack());
    }
}

fn json_message(id: &str) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(id.into())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

#[tokio::test]
async fn an_event_reaches_its_own_tenant_s_endpoints_and_nobody_else_s() {
    let world = World::start(Plan::default()).await;
    for tenant in ["acme", "other"] {
        world.tenant(tenant).await;
        world
            .endpoint(tenant, &format!("/{tenant}"), json!({"profile": "privato"}))
            .await;
    }
    let publisher = Publisher::connect(&world.amqp_url).await;
    let body = br#"{"key": "D08B53",  "n": 1.0}"#;
    let properties = json_message("evt-77").with_timestamp(1_700_000_000);
    publisher
        .publish("acme.license.created", properties.clone(), body)
        .await;
    // The same again: recognised by its id.
    publisher
        .publish("acme.license.created", properties, body)
        .await;
    let requests = world.receiver.wait_for_on("/acme", 1, PATIENCE).await;
    assert_eq!(&requests[0].body[..], body);
    let event = world
        .api
        .get("/v1/tenants/acme/events/evt-77")
        .await
        .expect(&[200])
        .json();
    assert_eq!(event["type"], "license.created");
    assert!(
        event["occurred_at"]
            .as_str()
            .unwrap()
            .starts_with("2023-11-14T22:13:20")
    );
    world.until_deliveries("acme", "", &["succeeded"], 1).await;
    assert_eq!(world.receiver.received_on("/acme").len(), 1);
    assert_eq!(world.receiver.received_on("/other").len(), 0);
}

#[tokio::test]
async fn events_of_several_tenants_that_come_together_stay_with_their_own() {
    let world = World::start(Plan::default()).await;
    let tenants = ["acme", "other", "third"];
    for tenant in tenants {
        world.tenant(tenant).await;
        world
            .endpoint(tenant, &format!("/{tenant}"), json!({"profile": "privato"}))
            .await;
    }
    // All of them are there when the dispatcher looks.
    world.dispatchers[0].signal("STOP");
    for _ in 0..10 {
        for tenant in tenants {
            world.event(tenant, "a.b", json!({"whose": tenant})).await;
        }
    }
    world.dispatchers[0].signal("CONT");
    for tenant in tenants {
        world.until_deliveries(tenant, "", &["succeeded"], 10).await;
        let own = json!({"whose": tenant}).to_string();
        for request in world.receiver.received_on(&format!("/{tenant}")) {
            assert_eq!(String::from_utf8_lossy(&request.body), own);
        }
    }
}

#[tokio::test]
async fn cloud_events_are_understood_in_both_modes() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/ce", json!({"profile": "privato"}))
        .await;
    let publisher = Publisher::connect(&world.amqp_url).await;
    let envelope = br#"{"specversion":"1.0","id":"ce-1","source":"/shop","type":"order.paid","time":"2024-05-01T12:00:00Z","datacontenttype":"application/json","data":{"total": 1.0}}"#;
    let structured = BasicProperties::default()
        .with_content_type("application/cloudevents+json; charset=utf-8".into())
        .with_delivery_mode(2);
    publisher
        .publish("acme.order.paid", structured, envelope)
        .await;
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", "ce-2"),
        ("source", "/shop"),
        ("type", "order.paid"),
    ] {
        headers.insert(format!("cloudEvents:{name}").into(), text(value));
    }
    let binary = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_headers(headers);
    publisher
        .publish("acme.order.paid", binary, br#"{"total": 2.0}"#)
        .await;
    world.until_deliveries("acme", "", &["succeeded"], 2).await;
    let mut bodies: Vec<_> = world
        .receiver
        .received_on("/ce")
        .into_iter()
        .map(|r| r.body)
        .collect();
    bodies.sort();
    assert_eq!(bodies, [r#"{"total": 1.0}"#, r#"{"total": 2.0}"#]);
    for id in ["ce-1", "ce-2"] {
        world
            .api
            .get(&format!("/v1/tenants/acme/events/{id}"))
            .await
            .expect(&[200]);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_rejected_with_its_reason_and_blocks_nothing() {
    let world = World::start(Plan {
        variables: vec![("SIGNPOST_MAX_EVENT_BYTES", "1000".to_owned())],
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;
    world.endpoint("acme", "/ok", json!({})).await;
    let publisher = Publisher::connect(&world.amqp_url).await;
    let large = format!("\"{}\"", "x".repeat(2000));
    let bad: [(&str, &[u8], &str); 6] = [
        ("acme.a.b", b"{not json", "bad_json"),
        ("nobody.a.b", b"{}", "unknown_tenant"),
        ("acme", b"{}", "bad_routing_key"),
        ("Acme.a.b", b"{}", "bad_tenant"),
        ("acme.a..b", b"{}", "illegal_type"),
        ("acme.a.b", large.as_bytes(), "too_large"),
    ];
    for (n, (key, body, _)) in bad.iter().enumerate() {
        publisher
            .publish(key, json_message(&format!("bad-{n}")), body)
            .await;
    }
    publisher
        .publish("acme.a.b", json_message("good"), b"{}")
        .await;
    world.until_deliveries("acme", "", &["succeeded"], 1).await;
    let rejected = signpost_testkit::wait_until("all are rejected", PATIENCE, async || {
        let list = world
            .api
            .get("/v1/rejected?limit=100")
            .await
            .expect(&[200])
            .json();
        let items = list["items"].as_array().unwrap().clone();
        if items.len() == bad.len() {
            Ok(items)
        } else {
            Err(list)
        }
    })
    .await;
    for (_, _, reason) in bad {
        assert!(
            rejected.iter().any(|item| item["reason"] == reason),
            "{reason} in {rejected:?}"
        );
        let series = format!("signpost_events_rejected_total{{reason=\"{reason}\"}}");
        assert_eq!(world.dispatchers[0].metric(&series).await, 1, "{reason}");
    }
}

#[tokio::test]
async fn data_that_breaks_its_type_s_schema_is_rejected_with_the_reason() {
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world.endpoint("acme", "/a", json!({})).await;
    let event_type = json!({
        "schema": {"type": "object", "required": ["key"]},
        "validation": "reject",
    });
    world
        .api
        .prepare(
            http::Method::PUT,
            "/v1/tenants/acme/event-types/license.created",
            &event_type,
        )
        .await
        .expect(&[200, 201]);
    let publisher = Publisher::connect(&world.amqp_url).await;
    for (id, body) in [("bad", r#"{"nokey": 1}"#), ("good", r#"{"key": 1}"#)] {
        publisher
            .publish("acme.license.created", json_message(id), body.as_bytes())
            .await;
    }
    let delivered = world.until_deliveries("acme", "", &["succeeded"], 1).await;
    assert_eq!(delivered[0]["event_id"], "good");
    let rejected = wait_until("it is rejected", PATIENCE, async || {
        let list = world.api.get("/v1/rejected").await.expect(&[200]).json();
        list["items"].get(0).cloned().ok_or("not yet")
    })
    .await;
    assert_eq!(rejected["reason"], "schema_refused");
    assert!(rejected["detail"].as_str().unwrap().contains("key"));
}
