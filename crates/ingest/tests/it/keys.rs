//! API keys.

use std::time::Duration;

use serde_json::json;
use signpost_testkit::wait_until;

use crate::service::{PATIENCE, Service, config, launch};

#[tokio::test]
async fn are_shown_once_and_listed_without_their_secret() {
    let service = Service::start().await;
    let body = json!({"role": "publisher", "expires_in": "30d"});
    let made = service
        .client
        .post("/v1/tenants/default/keys", &body)
        .await
        .expect(201)
        .json;
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("sp_") && key.len() > 64);
    assert!(made["id"].as_str().unwrap().starts_with("key_"));
    let list = service
        .client
        .get("/v1/tenants/default/keys")
        .await
        .expect(200);
    assert!(!String::from_utf8_lossy(&list.bytes).contains(key));
    assert_eq!(list.json["items"][0]["id"], made["id"]);
    assert_eq!(list.json["items"][0]["role"], "publisher");
    assert_eq!(
        service
            .database
            .psql("SELECT count(*) FROM keys WHERE convert_from(hash, 'LATIN1') LIKE '%sp_%'")
            .await
            .unwrap()
            .trim(),
        "0"
    );
}

#[tokio::test]
async fn tell_who_they_are() {
    let service = Service::start().await;
    let me = service.client.get("/v1/me").await.expect(200).json;
    assert_eq!(me, json!({"role": "admin", "tenant": null, "key_id": null}));
    let portal = service.key("default", "portal").await;
    let me = portal.get("/v1/me").await.expect(200).json;
    assert_eq!(
        (&me["role"], &me["tenant"]),
        (&json!("portal"), &json!("default"))
    );
}

#[tokio::test]
async fn a_portal_key_expires_by_itself() {
    let service = Service::start().await;
    let reply = service
        .client
        .post("/v1/tenants/default/keys", &json!({"role": "portal"}))
        .await
        .expect(201);
    assert!(reply.json["expires_at"].is_string());
    let reply = service
        .client
        .post(
            "/v1/tenants/default/keys",
            &json!({"role": "portal", "expires_in": "1s"}),
        )
        .await
        .expect(201);
    let key = service.client.with_key(reply.json["key"].as_str().unwrap());
    key.get("/v1/me").await.expect(200);
    wait_until("the key has expired", PATIENCE, async || {
        match key.get("/v1/me").await {
            reply if reply.status == 401 => Ok(()),
            reply => Err(reply.status),
        }
    })
    .await;
}

#[tokio::test]
async fn only_an_admin_makes_admins() {
    let service = Service::start().await;
    let manager = service.tenant("acme").await;
    manager
        .post("/v1/tenants/acme/keys", &json!({"role": "publisher"}))
        .await
        .expect(201);
    let reply = manager
        .post("/v1/tenants/acme/keys", &json!({"role": "admin"}))
        .await;
    reply.expect_error(403, "forbidden");
    let admin = service.key("acme", "admin").await;
    admin.get("/v1/tenants").await.expect(200);
}

#[tokio::test]
async fn a_revoked_key_ends_within_a_second_on_every_replica() {
    let service = Service::start().await;
    let config = config(service.database.url(), service.vhost.url(), &[]);
    let (other, ready, _running, lifecycle) = launch(&config).await;
    wait_until("the other replica is ready", PATIENCE, async || match ready
        .get("/readyz")
        .await
        .status
    {
        200 => Ok(()),
        status => Err(status),
    })
    .await;
    for path in ["/v1/keys/", "/v1/tenants/acme/keys/"] {
        let manager = service.tenant("acme").await;
        let elsewhere = other.with_key(manager.key.as_ref().unwrap());
        let me = elsewhere.get("/v1/me").await.expect(200).json;
        manager.get("/v1/me").await.expect(200);
        let path = format!("{path}{}", me["key_id"].as_str().unwrap());
        service.client.delete(&path).await.expect(204);
        manager
            .get("/v1/me")
            .await
            .expect_error(401, "unauthenticated");
        wait_until(
            "the other replica has heard of it",
            Duration::from_secs(1),
            async || match elsewhere.get("/v1/me").await.status {
                401 => Ok(()),
                status => Err(status),
            },
        )
        .await;
        service
            .client
            .delete(&path)
            .await
            .expect_error(404, "not_found");
    }
    lifecycle.stop();
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let service = Service::start().await;
    let manager = service.tenant("acme").await;
    let right = manager.key.clone().unwrap();
    let last = if right.ends_with('0') { '1' } else { '0' };
    let mistyped = format!("{}{last}", &right[..right.len() - 1]);
    for wrong in [
        "",
        "sp_",
        "nonsense",
        "admin-key-of-the-test",
        "admin-key-of-the-testsx",
        &mistyped,
    ] {
        let reply = service.client.with_key(wrong).get("/v1/me").await;
        let reply = reply.expect_error(401, "unauthenticated");
        assert!(
            reply
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
    }
    service
        .client
        .without_key()
        .get("/v1/me")
        .await
        .expect_error(401, "unauthenticated");
    let basic = [("authorization", "Basic YTpi")];
    let reply = service
        .client
        .without_key()
        .send("GET", "/v1/me", &basic, b"")
        .await;
    reply.expect_error(401, "unauthenticated");
}
