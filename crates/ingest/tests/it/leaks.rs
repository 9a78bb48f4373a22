//! A tenant sees only its own: every route, with every role, with another tenant's ids.

use serde_json::json;
use signpost_ingest::{
    api,
    auth::{Access, Role},
};

use crate::{
    client::Client,
    deliveries_of_others::Foreign,
    service::{Service, endpoint},
};

/// The path with another tenant's things in it: in the other tenant, and in the caller's own.
fn paths(path: &str, foreign: &Foreign) -> Vec<String> {
    let id = foreign.id_for(path);
    ["acme", "other"]
        .map(|tenant| {
            path.replace("{tenant}", tenant)
                .replace("{id}", &id)
                .replace("{type}", "secret.type")
                .replace("{name}", "privato")
        })
        .to_vec()
}

/// A body that would be right, so that nothing but the access is in the way.
fn body(path: &str, foreign: &Foreign) -> String {
    let body = if path.ends_with("/endpoints") {
        endpoint("https://example.com/")
    } else if path.ends_with("/events") {
        json!({"type": "a", "data": 1})
    } else if path.ends_with("/batch") {
        json!([{"type": "a", "data": 1}])
    } else if path.ends_with("/keys") {
        json!({"role": "publisher"})
    } else if path.ends_with("/preview") {
        json!({"type": "a"})
    } else if path.ends_with("/recover") {
        json!({"since": "2020-01-01T00:00:00Z"})
    } else if path.ends_with("/replay") {
        json!({"endpoint_id": foreign.endpoint})
    } else if path.ends_with("/import") {
        json!({"event_types": []})
    } else {
        json!({})
    };
    body.to_string()
}

async fn call(client: &Client, method: &str, path: &str, body: &str) -> crate::client::Reply {
    if method == "GET" || method == "DELETE" {
        client.send(method, path, &[], b"").await
    } else {
        client.json(method, path, body).await
    }
}

#[tokio::test]
async fn no_route_shows_or_changes_anything_of_another_tenant() {
    let service = Service::start().await;
    let other = service.tenant("other").await;
    let foreign = Foreign::make(&service, &other).await;
    let mut checked = 0;
    for role in Role::ALL.iter().filter(|role| **role != Role::Admin) {
        service
            .client
            .put("/v1/tenants/acme", &json!({}))
            .await
            .expect(200);
        let caller = service.key("acme", role.as_str()).await;
        for route in api::routes() {
            if route.access == Access::Public {
                continue;
            }
            let has_tenant = route.path.contains("{tenant}");
            let admits = route.access.admits(*role);
            for (index, path) in paths(&route.path, &foreign).iter().enumerate() {
                let (method, body) = (route.method.as_str(), body(&route.path, &foreign));
                let reply = call(&caller, method, path, &body).await;
                let shown = format!(
                    "{} {method} {path}: {} {}",
                    role.as_str(),
                    reply.status,
                    reply.json
                );
                let text = String::from_utf8_lossy(&reply.bytes).into_owned();
                for secret in &foreign.secrets {
                    // The id that was asked for may be named by nobody but the caller itself.
                    assert!(!text.contains(secret.as_str()), "{shown}");
                }
                if has_tenant && index == 1 {
                    // In the other tenant's place nothing exists, whatever the role.
                    assert_eq!((reply.status, reply.code()), (404, "not_found"), "{shown}");
                } else if !admits {
                    assert_eq!((reply.status, reply.code()), (403, "forbidden"), "{shown}");
                } else if route.path.contains("{id}") {
                    // A foreign id in one's own tenant.
                    assert_eq!((reply.status, reply.code()), (404, "not_found"), "{shown}");
                } else {
                    assert!(reply.status < 500, "{shown}");
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "{checked}");
    foreign.check_untouched(&service, &other).await;
}

#[tokio::test]
async fn an_answer_does_not_tell_whether_a_foreign_thing_exists() {
    let service = Service::start().await;
    let other = service.tenant("other").await;
    let foreign = Foreign::make(&service, &other).await;
    let caller = service.tenant("acme").await;
    let nobody = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e";
    let real = caller
        .get(&format!("/v1/tenants/acme/endpoints/{}", foreign.endpoint))
        .await;
    let made_up = caller
        .get(&format!("/v1/tenants/acme/endpoints/{nobody}"))
        .await;
    assert_eq!(real.bytes, made_up.bytes);
    let real = caller.get("/v1/tenants/other/endpoints").await;
    let made_up = caller.get("/v1/tenants/nobody/endpoints").await;
    assert_eq!(real.bytes, made_up.bytes);
}

#[tokio::test]
async fn each_route_asks_for_a_key_and_admits_its_roles() {
    let service = Service::start().await;
    let other = service.tenant("other").await;
    let foreign = Foreign::make(&service, &other).await;
    for route in api::routes() {
        let path = &paths(&route.path, &foreign)[1];
        let (method, body) = (route.method.as_str(), body(&route.path, &foreign));
        let reply = call(&service.client.without_key(), method, path, &body).await;
        let shown = format!("{method} {path}: {} {}", reply.status, reply.json);
        if route.access == Access::Public {
            assert_eq!(reply.status, 200, "{shown}");
        } else {
            assert_eq!(
                (reply.status, reply.code()),
                (401, "unauthenticated"),
                "{shown}"
            );
        }
    }
}
