//! The same write twice.

use serde_json::{Value, json};

use crate::{
    client::{Client, Reply},
    service::{Service, endpoint},
};

const ALL: &str = "/v1/tenants/default/endpoints";

async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Reply {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    client
        .send("POST", path, &headers, body.to_string().as_bytes())
        .await
}

#[tokio::test]
async fn is_done_once_and_answered_the_same() {
    let service = Service::start().await;
    let body = endpoint("https://example.com/");
    let first = post(&service.client, ALL, "k1", &body).await.expect(201);
    let again = post(&service.client, ALL, "k1", &body).await.expect(201);
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("content-type"), Some("application/json"));
    let list = service.client.get(ALL).await.expect(200).json;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let other = endpoint("https://example.com/other");
    post(&service.client, ALL, "k1", &other)
        .await
        .expect_error(409, "idempotency_key_reused");
    post(&service.client, ALL, "k2", &other).await.expect(201);
    let path = format!("{ALL}/{}", first.json["id"].as_str().unwrap());
    let headers = [("idempotency-key", "k3")];
    service
        .client
        .send("DELETE", &path, &headers, b"")
        .await
        .expect(204);
    service
        .client
        .send("DELETE", &path, &headers, b"")
        .await
        .expect(204);
}

#[tokio::test]
async fn can_be_repaired_after_an_error() {
    let service = Service::start().await;
    let mut body = endpoint("https://example.com/");
    body["events"] = json!([]);
    post(&service.client, ALL, "k1", &body)
        .await
        .expect_error(422, "validation_failed");
    post(
        &service.client,
        ALL,
        "k1",
        &endpoint("https://example.com/"),
    )
    .await
    .expect(201);
}

#[tokio::test]
async fn keys_of_two_tenants_do_not_meet() {
    let service = Service::start().await;
    let body = endpoint("https://example.com/");
    let mut ids = Vec::new();
    for tenant in ["acme", "other"] {
        let manager = service.tenant(tenant).await;
        let path = format!("/v1/tenants/{tenant}/endpoints");
        ids.push(post(&manager, &path, "k1", &body).await.expect(201).json["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_key_that_is_revoked_gets_no_old_answer() {
    let service = Service::start().await;
    let manager = service.tenant("acme").await;
    let body = endpoint("https://example.com/");
    post(&manager, "/v1/tenants/acme/endpoints", "k1", &body)
        .await
        .expect(201);
    let publisher = service.key("acme", "publisher").await;
    post(&publisher, "/v1/tenants/acme/endpoints", "k1", &body)
        .await
        .expect_error(403, "forbidden");
    let me = manager.get("/v1/me").await.expect(200).json;
    service
        .client
        .delete(&format!("/v1/keys/{}", me["key_id"].as_str().unwrap()))
        .await
        .expect(204);
    post(&manager, "/v1/tenants/acme/endpoints", "k1", &body)
        .await
        .expect_error(401, "unauthenticated");
}

#[tokio::test]
async fn two_at_the_same_moment_make_one_endpoint() {
    let service = Service::start().await;
    let body = endpoint("https://example.com/");
    let replies =
        futures::future::join_all((0..8).map(|_| post(&service.client, ALL, "k1", &body))).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    let refused = replies
        .iter()
        .filter(|reply| reply.code() == "request_in_progress")
        .count();
    assert!(made >= 1 && made + refused == 8);
    let list = service.client.get(ALL).await.expect(200).json;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_is_short_and_printable() {
    let service = Service::start().await;
    for bad in ["with space", &"k".repeat(129), "ä"] {
        let reply = post(&service.client, ALL, bad, &endpoint("https://example.com/")).await;
        reply.expect_error(400, "invalid_header");
    }
}
