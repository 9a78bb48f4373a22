//! Messages that could not be read.

use serde_json::json;
use signpost_broker::{Broker, BrokerConfig, BrokerUrl, Headers, Properties, Publish, topology};
use signpost_runtime::Lifecycle;
use signpost_testkit::wait_until;

use crate::service::{PATIENCE, Service};

/// Puts a message into the queue as the dispatcher does.
async fn reject(service: &Service, id: &str, reason: &str, body: &'static str) {
    let lifecycle = Lifecycle::new();
    let mut config = BrokerConfig::new(BrokerUrl::parse(service.vhost.url()).unwrap(), "test");
    config.tiers = signpost_domain::Tiers::scaled(0.01);
    let broker = Broker::connect(&config, &lifecycle, None);
    broker.wait_for_topology().await.unwrap();
    let headers = Headers::new()
        .text("signpost-rejected-id", id)
        .text("signpost-reason", reason)
        .text("signpost-error", "it is bad")
        .text("signpost-source-exchange", topology::EVENTS);
    let publish = Publish {
        exchange: topology::REJECTED.to_owned(),
        routing_key: "default.license.created".to_owned(),
        properties: Properties::persistent().with_headers(headers),
        body: body.into(),
    };
    broker.publisher().publish_confirmed(publish).await.unwrap();
    broker.close().await;
}

#[tokio::test]
async fn are_listed_shown_requeued_and_dropped() {
    let service = Service::start().await;
    assert_eq!(
        service.client.get("/v1/rejected").await.expect(200).json["items"],
        json!([])
    );
    for (id, reason, body) in [
        ("rej_1", "bad_json", "{oops"),
        ("rej_2", "too_large", "[]"),
        ("rej_3", "bad_json", "x"),
    ] {
        reject(&service, id, reason, body).await;
    }
    let list = service
        .client
        .get("/v1/rejected?limit=2")
        .await
        .expect(200)
        .json;
    assert_eq!(list["items"][0]["id"], "rej_1");
    assert_eq!(list["items"][0]["detail"], "it is bad");
    let cursor = list["next_cursor"].as_str().unwrap();
    let rest = service
        .client
        .get(&format!("/v1/rejected?cursor={cursor}"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&rest["items"][0]["id"], &rest["next_cursor"]),
        (&json!("rej_3"), &json!(null))
    );
    let bad = service
        .client
        .get("/v1/rejected?reason=bad_json")
        .await
        .expect(200)
        .json;
    assert_eq!(bad["items"].as_array().unwrap().len(), 2);
    let one = service
        .client
        .get("/v1/rejected/rej_1")
        .await
        .expect(200)
        .json;
    assert_eq!((&one["body"], &one["size"]), (&json!("{oops"), &json!(5)));

    service
        .client
        .delete("/v1/rejected/rej_1")
        .await
        .expect(204);
    service
        .client
        .delete("/v1/rejected/rej_1")
        .await
        .expect_error(404, "not_found");
    service
        .client
        .send("POST", "/v1/rejected/rej_2/requeue", &[], b"")
        .await
        .expect(202);
    service
        .client
        .send("POST", "/v1/rejected/rej_2/requeue", &[], b"")
        .await
        .expect_error(404, "not_found");
    service
        .client
        .get("/v1/rejected/rej_2")
        .await
        .expect_error(404, "not_found");
    let left = service.client.get("/v1/rejected").await.expect(200).json;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    let arguments = [
        "-p",
        service.vhost.name(),
        "list_queues",
        "-q",
        "name",
        "messages",
    ];
    wait_until("the event is back in its queue", PATIENCE, async || {
        let queues = service
            .vhost
            .control()
            .rabbitmqctl(&arguments)
            .await
            .unwrap();
        if queues.contains("signpost.events\t1") {
            Ok(())
        } else {
            Err(queues)
        }
    })
    .await;
}
