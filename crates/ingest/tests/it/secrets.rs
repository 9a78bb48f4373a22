//! Secrets: showing, rotating, public keys.

use serde_json::json;

use crate::service::{Service, endpoint};

const ALL: &str = "/v1/tenants/default/endpoints";

#[tokio::test]
async fn a_rotation_keeps_the_old_secret_for_a_while() {
    let service = Service::start().await;
    let made = service
        .client
        .post(ALL, &endpoint("https://example.com/"))
        .await
        .expect(201)
        .json;
    let path = format!("{ALL}/{}/secret", made["id"].as_str().unwrap());
    let shown = service.client.get(&path).await.expect(200).json;
    assert_eq!(shown, json!({"secret": made["secret"], "previous": []}));
    let rotate = format!("{path}/rotate");
    let first = service
        .client
        .post(&rotate, &json!({}))
        .await
        .expect(200)
        .json;
    assert_ne!(first["secret"], made["secret"]);
    assert_eq!(first["previous"].as_array().unwrap().len(), 1);
    let second = service
        .client
        .post(&rotate, &json!({"overlap": "1h"}))
        .await
        .expect(200)
        .json;
    assert_eq!(second["previous"].as_array().unwrap().len(), 2);
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let third = service
        .client
        .post(&rotate, &json!({"secret": own, "overlap": "0s"}))
        .await
        .expect(200)
        .json;
    assert_eq!(third["secret"], own);
    assert_eq!(service.client.get(&path).await.expect(200).json, third);
    for bad in [
        json!({"overlap": "8d"}),
        json!({"overlap": "soon"}),
        json!({"secret": "short"}),
        json!({"a": 1}),
    ] {
        service
            .client
            .post(&rotate, &bad)
            .await
            .expect_error(422, "validation_failed");
    }
}

#[tokio::test]
async fn nothing_of_a_secret_or_a_key_is_readable_in_the_database() {
    let service = Service::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k1"),
    ];
    let body = endpoint("https://example.com/").to_string();
    let made = service
        .client
        .send("POST", ALL, &headers, body.as_bytes())
        .await
        .expect(201)
        .json;
    let key = json!({"role": "manager"}).to_string();
    let key = service
        .client
        .send("POST", "/v1/tenants/default/keys", &headers, key.as_bytes())
        .await
        .expect(201)
        .json;
    let tables = service
        .database
        .psql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        .await
        .unwrap();
    for table in tables.lines() {
        let rows = service
            .database
            .psql(&format!(
                "SELECT encode(convert_to(t::text, 'UTF8'), 'escape') FROM {table} t"
            ))
            .await
            .unwrap();
        for secret in [&made["secret"], &key["key"]] {
            let secret = secret.as_str().unwrap();
            assert!(!rows.contains(secret), "{table} holds {secret}");
            assert!(
                !rows.contains(&hex(secret)),
                "{table} holds {secret} in hex"
            );
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_tenant_s_own_secret_is_made_when_first_needed_and_rotates() {
    let service = Service::start().await;
    let path = "/v1/tenants/default/secret";
    let first = service.client.get(path).await.expect(200).json;
    assert_eq!(service.client.get(path).await.expect(200).json, first);
    let rotated = service
        .client
        .post(&format!("{path}/rotate"), &json!({"overlap": "2h"}))
        .await
        .expect(200)
        .json;
    assert_ne!(rotated["secret"], first["secret"]);
    assert_eq!(rotated["previous"].as_array().unwrap().len(), 1);
    let mut body = endpoint("https://example.com/");
    body["profile"] = "inprivy".into();
    let made = service.client.post(ALL, &body).await.expect(201).json;
    let own = format!("{ALL}/{}/secret", made["id"].as_str().unwrap());
    service.client.get(&own).await.expect_error(409, "conflict");
    service
        .client
        .post(&format!("{own}/rotate"), &json!({}))
        .await
        .expect_error(409, "conflict");
}

#[tokio::test]
async fn ed25519_keys_have_a_public_half_that_anybody_may_see() {
    let service = Service::start().await;
    let profile = json!({
        "body": "{data}", "timestamp": "unix",
        "headers": {"webhook-id": "{id}", "webhook-timestamp": "{attempt_timestamp}"},
        "signature": {"header": "webhook-signature", "algorithm": "ed25519",
            "content": "{id}.{timestamp}.{body}", "encoding": "base64", "value": "v1a,{signature}",
            "separator": " ", "key": "base64-after-prefix"},
        "success": ["200-299"], "retry": {"delays": ["10s"]}, "timeout": "10s",
    });
    service
        .client
        .put("/v1/profiles/asymmetric", &profile)
        .await
        .expect(200);
    let mut body = endpoint("https://example.com/");
    body["profile"] = "asymmetric".into();
    let made = service.client.post(ALL, &body).await.expect(201).json;
    assert!(made["secret"].as_str().unwrap().starts_with("whsk_"));
    assert!(made["public_key"].as_str().unwrap().starts_with("whpk_"));
    let path = format!("{ALL}/{}", made["id"].as_str().unwrap());
    let secret = service
        .client
        .get(&format!("{path}/secret"))
        .await
        .expect(200)
        .json;
    assert_eq!(secret["public_key"], made["public_key"]);
    let jwks = secret["jwks_url"].as_str().unwrap();
    let set = service
        .client
        .without_key()
        .get(jwks)
        .await
        .expect(200)
        .json;
    assert_eq!(set["keys"][0]["crv"], "Ed25519");
    service
        .client
        .post(&format!("{path}/secret/rotate"), &json!({}))
        .await
        .expect(200);
    let set = service
        .client
        .without_key()
        .get(jwks)
        .await
        .expect(200)
        .json;
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    let shared = service
        .client
        .post(ALL, &endpoint("https://example.com/"))
        .await
        .expect(201)
        .json;
    let path = format!("{ALL}/{}/jwks", shared["id"].as_str().unwrap());
    assert_eq!(
        service
            .client
            .without_key()
            .get(&path)
            .await
            .expect(200)
            .json,
        json!({"keys": []})
    );
}
