//! Bad input of every kind: always a 4xx with the right code, and all that is wrong at once.

use serde_json::{Value, json};

use crate::service::{Service, endpoint};

/// Method, path, body, status, code, pointers.
type Case = (
    &'static str,
    String,
    String,
    u16,
    &'static str,
    Vec<&'static str>,
);

fn cases() -> Vec<Case> {
    let tenant = |path: &str| format!("/v1/tenants/default{path}");
    let with = |name: &str, value: Value| {
        let mut body = endpoint("https://example.com/");
        body[name] = value;
        body.to_string()
    };
    let create = |name: &str, value: Value, pointer: &'static str| -> Case {
        (
            "POST",
            tenant("/endpoints"),
            with(name, value),
            422,
            "validation_failed",
            vec![pointer],
        )
    };
    let mut cases: Vec<Case> = vec![
        (
            "POST",
            tenant("/endpoints"),
            "{}".into(),
            422,
            "validation_failed",
            vec!["/name", "/url", "/events"],
        ),
        (
            "POST",
            tenant("/endpoints"),
            "[]".into(),
            422,
            "validation_failed",
            vec![""],
        ),
        (
            "POST",
            tenant("/endpoints"),
            "{".into(),
            400,
            "invalid_json",
            vec![],
        ),
        (
            "POST",
            tenant("/endpoints"),
            "\u{0}".into(),
            400,
            "invalid_json",
            vec![],
        ),
        (
            "POST",
            tenant("/endpoints"),
            "[".repeat(5000),
            400,
            "invalid_json",
            vec![],
        ),
        create("colour", json!("red"), "/colour"),
        create("name", json!(1), "/name"),
        create("name", json!(""), "/name"),
        create("name", json!("a\nb"), "/name"),
        create("name", json!("x".repeat(201)), "/name"),
        create("url", json!("example.com"), "/url"),
        create("url", json!("https://example.com/#x"), "/url"),
        create("url", json!(["https://example.com/"]), "/url"),
        create("events", json!([]), "/events"),
        create("events", json!("a.b"), "/events"),
        create("events", json!(["a..b"]), "/events/0"),
        create("events", json!([1]), "/events/0"),
        create("events", json!(vec!["a"; 101]), "/events"),
        create("filter", json!([]), "/filter"),
        create("filter", json!({"a": {"$regex": "("}}), "/filter/a/$regex"),
        create("filter", json!({"$nope": 1}), "/filter/$nope"),
        create("profile", json!("nope"), "/profile"),
        create("profile", json!(7), "/profile"),
        create("status", json!("on"), "/status"),
        create("headers", json!({"Host": "x"}), "/headers/Host"),
        create("headers", json!({"X-A": "a\r\nB: c"}), "/headers/X-A"),
        create("headers", json!({"X-A": 1}), "/headers/X-A"),
        create("headers", json!([]), "/headers"),
        create("retry", json!({"delays": ["1x"]}), "/retry/delays/0"),
        create(
            "retry",
            json!({"delays": [], "on": ["timeout"]}),
            "/retry/on",
        ),
        create("retry", json!("often"), "/retry"),
        create("timeout", json!("2m"), "/timeout"),
        create("timeout", json!(10), "/timeout"),
        create("rate_limit", json!(0), "/rate_limit"),
        create("rate_limit", json!(1.5), "/rate_limit"),
        create("metadata", json!("x"), "/metadata"),
        create("metadata", json!({"a": "b\u{0}"}), "/metadata/a"),
        create("metadata", json!({"a": "x".repeat(20_000)}), "/metadata"),
        create("secret", json!(1), "/secret"),
        create("secret", json!("with space in the middle"), "/secret"),
        create("force", json!("yes"), "/force"),
        (
            "POST",
            tenant("/events"),
            r#"{"type":"a..b","id":"a b","colour":1}"#.into(),
            422,
            "validation_failed",
            vec!["/type", "/data", "/id", "/colour"],
        ),
        (
            "POST",
            tenant("/events"),
            r#"{"type":"a","data":1,"occurred_at":"now"}"#.into(),
            422,
            "validation_failed",
            vec!["/occurred_at"],
        ),
        (
            "POST",
            tenant("/events"),
            r#"{"type":"a","data":1,"occurred_at":"1969-01-01T00:00:00Z"}"#.into(),
            422,
            "validation_failed",
            vec!["/occurred_at"],
        ),
        (
            "POST",
            tenant("/events"),
            r#"{"type":"a","data":{"a":}}"#.into(),
            400,
            "invalid_json",
            vec![],
        ),
        (
            "POST",
            tenant("/events"),
            String::new(),
            415,
            "unsupported_media_type",
            vec![],
        ),
        (
            "POST",
            tenant("/events"),
            format!(
                r#"{{"type":"a","data":{}{}}}"#,
                "[".repeat(65),
                "]".repeat(65)
            ),
            422,
            "validation_failed",
            vec!["/data"],
        ),
        (
            "POST",
            tenant("/events"),
            format!(r#"{{"type":"a","data":{}"#, "[".repeat(100_000)),
            400,
            "invalid_json",
            vec![],
        ),
        (
            "POST",
            tenant("/events/batch"),
            "{}".into(),
            422,
            "validation_failed",
            vec![""],
        ),
        (
            "POST",
            tenant("/events/batch"),
            "[".into(),
            400,
            "invalid_json",
            vec![],
        ),
        (
            "POST",
            tenant("/events/e1/replay"),
            r#"{"endpoint_id":"x"}"#.into(),
            422,
            "validation_failed",
            vec!["/endpoint_id"],
        ),
        (
            "POST",
            tenant("/keys"),
            "{}".into(),
            422,
            "validation_failed",
            vec!["/role"],
        ),
        (
            "POST",
            tenant("/keys"),
            r#"{"role":"king","expires_in":"soon"}"#.into(),
            422,
            "validation_failed",
            vec!["/role", "/expires_in"],
        ),
        (
            "POST",
            tenant("/keys"),
            r#"{"role":"portal","expires_in":"1ms"}"#.into(),
            422,
            "validation_failed",
            vec!["/expires_in"],
        ),
        (
            "PUT",
            tenant(""),
            r#"{"name":7}"#.into(),
            422,
            "validation_failed",
            vec!["/name"],
        ),
        (
            "PUT",
            tenant(""),
            r#"{"name":"a","b":1}"#.into(),
            422,
            "validation_failed",
            vec!["/b"],
        ),
        (
            "PUT",
            tenant("/event-types/a.b"),
            r#"{"schema":{"type":"x"}}"#.into(),
            422,
            "validation_failed",
            vec!["/schema"],
        ),
        (
            "PUT",
            tenant("/event-types/a.b"),
            r#"{"validation":"reject"}"#.into(),
            422,
            "validation_failed",
            vec!["/validation"],
        ),
        (
            "PUT",
            tenant("/event-types/a.b"),
            r#"{"validation":"maybe","schema":{}}"#.into(),
            422,
            "validation_failed",
            vec!["/validation"],
        ),
        (
            "POST",
            tenant("/event-types/import"),
            "{}".into(),
            422,
            "validation_failed",
            vec!["/event_types"],
        ),
        (
            "POST",
            tenant("/endpoints/preview"),
            r#"{"data":1}"#.into(),
            422,
            "validation_failed",
            vec!["/type"],
        ),
        (
            "POST",
            tenant("/secret/rotate"),
            r#"{"overlap":"8d","secret":"short"}"#.into(),
            422,
            "validation_failed",
            vec!["/secret", "/overlap"],
        ),
        (
            "GET",
            "/v1/nothing".into(),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
        (
            "GET",
            "/v1/".into(),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
        (
            "GET",
            "/v1/tenants/default/endpoints/".into(),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
        (
            "GET",
            "/v1/tenants/%ff/endpoints".into(),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
        (
            "GET",
            "/v1/tenants/nobody/endpoints".into(),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
        (
            "GET",
            tenant("/endpoints/nonsense"),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
        (
            "GET",
            tenant("/deliveries/%00"),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
        (
            "GET",
            tenant("/events/a%2Fb"),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
        (
            "GET",
            "/v1/profiles/%00".into(),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
        (
            "GET",
            "/v1/rejected/%00".into(),
            String::new(),
            404,
            "not_found",
            vec![],
        ),
    ];
    for query in [
        "limit=0",
        "limit=251",
        "limit=x",
        "limit=1&limit=2",
        "colour=red",
    ] {
        for list in [
            "/endpoints",
            "/keys",
            "/events",
            "/deliveries",
            "/event-types",
        ] {
            let path = format!("{}?{query}", tenant(list));
            cases.push(("GET", path, String::new(), 400, "invalid_query", vec![]));
        }
    }
    for cursor in ["x", "%00", "AAAA", "bm9wZQ%3D%3D"] {
        for list in ["/events", "/deliveries"] {
            let path = format!("{}?cursor={cursor}", tenant(list));
            cases.push((
                "GET",
                path,
                String::new(),
                400,
                "invalid_query",
                vec!["/cursor"],
            ));
        }
    }
    for query in [
        "status=done",
        "since=now",
        "until=2026",
        "endpoint_id=x",
        "event_id=a%20b",
        "event_type=a..b",
    ] {
        let path = format!("{}?{query}", tenant("/deliveries"));
        cases.push(("GET", path, String::new(), 400, "invalid_query", vec![]));
    }
    for (method, path) in [
        ("PUT", tenant("/endpoints")),
        ("PATCH", "/v1/me".into()),
        ("DELETE", tenant("/events")),
        ("POST", "/v1/tenants".into()),
        ("POST", "/openapi.json".into()),
        ("OPTIONS", tenant("/events")),
        ("TRACE", tenant("/events")),
    ] {
        cases.push((
            method,
            path,
            String::new(),
            405,
            "method_not_allowed",
            vec![],
        ));
    }
    cases
}

#[tokio::test]
async fn is_answered_4xx_with_what_is_wrong() {
    let service = Service::start().await;
    for (method, path, body, status, code, pointers) in cases() {
        let shown: String = body.chars().take(200).collect();
        let reply = if body.is_empty() {
            service.client.send(method, &path, &[], b"").await
        } else {
            service.client.json(method, &path, &body).await
        };
        assert_eq!(
            (reply.status, reply.code()),
            (status, code),
            "{method} {path} {shown}: {}",
            reply.json
        );
        let reply = reply.expect_error(status, code);
        if status == 405 {
            assert!(reply.header("allow").is_some(), "{method} {path}");
        }
        if !pointers.is_empty() {
            let errors = reply.json["errors"].as_array().unwrap();
            let found: Vec<_> = errors
                .iter()
                .map(|error| error["pointer"].as_str().unwrap())
                .collect();
            assert_eq!(found, pointers, "{method} {path} {shown}");
        }
    }
    let metrics = service.admin.get("/metrics").await;
    assert!(
        String::from_utf8(metrics.bytes)
            .unwrap()
            .contains("signpost_broker_connected 1")
    );
}
