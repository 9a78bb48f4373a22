//! Tenants.

use serde_json::json;

use crate::service::Service;

#[tokio::test]
async fn are_made_named_listed_shown_and_erased() {
    let service = Service::start().await;
    let client = &service.client;
    let made = client
        .put("/v1/tenants/acme", &json!({"name": "Acme"}))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&made["id"], &made["name"]),
        (&json!("acme"), &json!("Acme"))
    );
    client.put("/v1/tenants/acme", &json!({})).await.expect(200);
    let shown = client.get("/v1/tenants/acme").await.expect(200).json;
    assert_eq!(shown["name"], json!(null));
    assert_eq!(shown["created_at"], made["created_at"]);
    let list = client.get("/v1/tenants?limit=1").await.expect(200).json;
    assert_eq!(list["items"][0]["id"], "acme");
    let cursor = list["next_cursor"].as_str().unwrap();
    let rest = client
        .get(&format!("/v1/tenants?cursor={cursor}"))
        .await
        .expect(200)
        .json;
    assert_eq!(rest["items"][0]["id"], "default");
    assert_eq!(rest["next_cursor"], json!(null));
    let manager = service.key("acme", "manager").await;
    client.delete("/v1/tenants/acme").await.expect(204);
    client
        .get("/v1/tenants/acme")
        .await
        .expect_error(404, "not_found");
    client
        .delete("/v1/tenants/acme")
        .await
        .expect_error(404, "not_found");
    manager
        .get("/v1/me")
        .await
        .expect_error(401, "unauthenticated");
}

#[tokio::test]
async fn the_default_one_always_exists() {
    let service = Service::start().await;
    service.client.get("/v1/tenants/default").await.expect(200);
    service
        .client
        .delete("/v1/tenants/default")
        .await
        .expect_error(409, "tenant_protected");
}

#[tokio::test]
async fn ids_keep_the_rule() {
    let service = Service::start().await;
    for bad in ["Acme", "a.b", "-a", "a%20b", "%C3%A4", &"a".repeat(65)] {
        let reply = service
            .client
            .put(&format!("/v1/tenants/{bad}"), &json!({}))
            .await;
        reply.expect_error(422, "validation_failed");
    }
}
