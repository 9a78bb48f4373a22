//! Profiles and event types.

use serde_json::{Value, json};

use crate::service::{Service, endpoint};

fn custom() -> Value {
    json!({
        "description": "Our own", "body": {"event": "{type}", "payload": "{data}"}, "timestamp": "unix",
        "signature": {"header": "X-Signature", "algorithm": "hmac-sha256", "content": "{body}",
            "encoding": "hex", "value": "{signature}", "key": "utf8"},
        "success": ["200-299"], "retry": {"delays": ["10s", "100s"]}, "timeout": "10s",
    })
}

#[tokio::test]
async fn built_in_ones_are_listed_and_read_only() {
    let service = Service::start().await;
    let list = service
        .client
        .get("/v1/profiles?limit=250")
        .await
        .expect(200)
        .json;
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    let all = [
        "standard-webhooks",
        "privato",
        "inprivy",
        "cryptlex",
        "core-api",
        "license-manager",
        "github",
        "stripe",
        "shopify",
        "slack",
    ];
    assert_eq!(names, all);
    let one = service
        .client
        .get("/v1/profiles/privato")
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&one["built_in"], &one["version"]),
        (&json!(true), &json!(0))
    );
    service
        .client
        .put("/v1/profiles/privato", &custom())
        .await
        .expect_error(403, "profile_read_only");
    service
        .client
        .delete("/v1/profiles/privato")
        .await
        .expect_error(403, "profile_read_only");
}

#[tokio::test]
async fn custom_ones_are_versioned_and_kept_while_they_are_used() {
    let service = Service::start().await;
    let path = "/v1/profiles/our-own";
    let first = service.client.put(path, &custom()).await.expect(200).json;
    assert_eq!(
        (&first["version"], &first["built_in"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(first["profile"], custom());
    assert_eq!(
        service.client.put(path, &custom()).await.expect(200).json["version"],
        1
    );
    let mut changed = custom();
    changed["timeout"] = "5s".into();
    assert_eq!(
        service.client.put(path, &changed).await.expect(200).json["version"],
        2
    );
    let mut body = endpoint("https://example.com/");
    body["profile"] = "our-own".into();
    let made = service
        .client
        .post("/v1/tenants/default/endpoints", &body)
        .await
        .expect(201)
        .json;
    service
        .client
        .delete(path)
        .await
        .expect_error(409, "profile_in_use");
    let endpoint = format!(
        "/v1/tenants/default/endpoints/{}",
        made["id"].as_str().unwrap()
    );
    service.client.delete(&endpoint).await.expect(204);
    service.client.delete(path).await.expect(204);
    service
        .client
        .get(path)
        .await
        .expect_error(404, "not_found");
    service
        .client
        .delete(path)
        .await
        .expect_error(404, "not_found");
    let page = service
        .client
        .get("/v1/profiles?limit=3")
        .await
        .expect(200)
        .json;
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = service
        .client
        .get(&format!("/v1/profiles?limit=2&cursor={cursor}"))
        .await
        .expect(200)
        .json;
    assert_eq!(page["items"][0]["name"], "cryptlex");
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_profile_is_said_at_once() {
    let service = Service::start().await;
    let mut bad = custom();
    bad["body"] = "{dat}".into();
    bad["signature"]["algorithm"] = "md5".into();
    let reply = service
        .client
        .put("/v1/profiles/bad", &bad)
        .await
        .expect_error(422, "validation_failed");
    let pointers: Vec<_> = reply.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap())
        .collect();
    assert!(
        pointers.contains(&"/body") && pointers.contains(&"/signature/algorithm"),
        "{pointers:?}"
    );
    let mut bad = custom();
    bad["success"] = json!(["nope"]);
    bad["timeout"] = "2h".into();
    let reply = service
        .client
        .put("/v1/profiles/bad", &bad)
        .await
        .expect_error(422, "validation_failed");
    assert_eq!(reply.json["errors"].as_array().unwrap().len(), 2);
    service
        .client
        .put("/v1/profiles/Not_A_Name", &custom())
        .await
        .expect_error(422, "validation_failed");
}

#[tokio::test]
async fn event_types_are_described_imported_and_removed() {
    let service = Service::start().await;
    let all = "/v1/tenants/default/event-types";
    let path = format!("{all}/license.created");
    let settings = json!({"name": "License created", "description": "…", "schema": {"type": "object"}, "validation": "warn"});
    let stored = service.client.put(&path, &settings).await.expect(200).json;
    assert_eq!(
        (&stored["type"], &stored["validation"]),
        (&json!("license.created"), &json!("warn"))
    );
    assert_eq!(service.client.get(&path).await.expect(200).json, stored);
    let import =
        json!({"event_types": [{"type": "a.b"}, {"type": "license.created", "name": "New"}]});
    let reply = service
        .client
        .post(&format!("{all}/import"), &import)
        .await
        .expect(200)
        .json;
    assert_eq!(reply, json!({"imported": 2}));
    let list = service
        .client
        .get(&format!("{all}?limit=1"))
        .await
        .expect(200)
        .json;
    assert_eq!(list["items"][0]["type"], "a.b");
    let cursor = list["next_cursor"].as_str().unwrap();
    let list = service
        .client
        .get(&format!("{all}?cursor={cursor}"))
        .await
        .expect(200)
        .json;
    assert_eq!(list["items"][0]["name"], "New");
    service.client.delete(&path).await.expect(204);
    service
        .client
        .get(&path)
        .await
        .expect_error(404, "not_found");
    service
        .client
        .delete(&path)
        .await
        .expect_error(404, "not_found");
    let bad = json!({"event_types": [{"type": "a..b", "validation": "reject"}, 7, {"type": "a", "schema": {"type": "x"}}]});
    let reply = service
        .client
        .post(&format!("{all}/import"), &bad)
        .await
        .expect_error(422, "validation_failed");
    let pointers: Vec<_> = reply.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        pointers,
        [
            "/event_types/0/type",
            "/event_types/0/validation",
            "/event_types/1",
            "/event_types/2/schema"
        ]
    );
    service
        .client
        .put(&format!("{all}/a..b"), &json!({}))
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn the_shipped_catalogues_can_be_imported() {
    let service = Service::start().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/catalogs");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let text = std::fs::read_to_string(path).unwrap();
            let reply = service
                .client
                .json("POST", "/v1/tenants/default/event-types/import", &text)
                .await;
            assert!(reply.expect(200).json["imported"].as_u64().unwrap() > 0);
            files += 1;
        }
    }
    assert!(files >= 5);
}
