//! The web pages.

use crate::service::Service;

#[tokio::test]
async fn pages_are_self_contained_and_well_guarded() {
    let service = Service::start().await;
    for path in ["/", "/docs"] {
        let reply = service.client.without_key().get(path).await.expect(200);
        let html = String::from_utf8(reply.bytes.clone()).unwrap();
        assert!(html.starts_with("<!doctype html>"));
        for outside in ["src=", "http://", "@import", "url("] {
            assert!(!html.contains(outside), "{path} has {outside}");
        }
        let policy = reply.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'")
        );
        assert!(!policy.contains("unsafe"));
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path} {name}");
        }
        assert!(reply.header("strict-transport-security").is_some());
    }
    let docs = service.client.get("/docs").await;
    let html = String::from_utf8(docs.bytes).unwrap();
    for route in signpost_ingest::api::routes() {
        assert!(html.contains(&route.path), "{route:?}");
    }
}

#[tokio::test]
async fn answers_of_the_api_are_never_cached_or_sniffed() {
    let service = Service::start().await;
    for path in ["/v1/me", "/v1/nothing"] {
        let reply = service.client.get(path).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
}
