//! Which requests the commands make.

use signpost_cli::error::Exit;
use signpost_testkit::Reply;

use crate::support::{Api, json, json_status, problem};

#[tokio::test]
async fn data_is_sent_byte_for_byte() {
    let api = Api::start().await;
    api.answers(
        "POST /v1/tenants/acme/events",
        json_status(202, r#"{"id":"order-1","type":"a.b"}"#),
    );
    let data = r#"{"z": 1.0, "a": 12345678901234567890}"#;
    let done = api
        .run(&["events", "send", "a.b", "--data", data, "--id", "order-1"])
        .await;
    assert_eq!((done.exit, done.stdout.as_str()), (Exit::Ok, "order-1\n"));
    let request = api.request();
    assert_eq!(
        request.body,
        format!(r#"{{"type":"a.b","id":"order-1","data":{data}}}"#)
    );
    assert_eq!(request.header("authorization"), Some("Bearer key"));
}

#[tokio::test]
async fn an_example_is_made_from_the_schema() {
    let api = Api::start().await;
    api.answers(
        "GET /v1/tenants/acme/event-types/a.b",
        json(r#"{"type":"a.b","schema":{"properties":{"id":{"type":"integer","minimum":3}}}}"#),
    )
    .answers(
        "POST /v1/tenants/acme/events",
        json_status(202, r#"{"id":"evt_1"}"#),
    );
    let done = api.run(&["events", "send", "a.b", "--example"]).await;
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    assert_eq!(api.requests()[1].body, r#"{"type":"a.b","data":{"id":3}}"#);
}

#[tokio::test]
async fn settings_of_an_endpoint_become_one_body() {
    let api = Api::start().await;
    api.answers(
        "POST /v1/tenants/acme/endpoints",
        json_status(201, r#"{"id":"ep_1","secret":"s"}"#),
    )
    .answers(
        "PATCH /v1/tenants/acme/endpoints/ep_1",
        json(r#"{"id":"ep_1"}"#),
    );
    let done = api
        .run(&[
            "endpoints",
            "create",
            "--name",
            "Billing",
            "--url",
            "https://example.com/hooks",
            "--event",
            "license.*",
            "--event",
            "post.created",
            "--filter",
            r#"{"total":{"$gt":1.5}}"#,
            "--profile",
            "privato",
            "--secret",
            "0123456789abcdef",
            "--delays",
            "10s,100s",
            "--timeout",
            "5s",
            "--rate-limit",
            "10",
            "--header",
            "X-Team: a:b",
            "--metadata",
            "k=v",
            "--status",
            "paused",
        ])
        .await;
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    let body: serde_json::Value = api.request().json().unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "name": "Billing", "url": "https://example.com/hooks", "profile": "privato",
            "events": ["license.*", "post.created"], "filter": {"total": {"$gt": 1.5}},
            "secret": "0123456789abcdef", "retry": {"delays": ["10s", "100s"]}, "timeout": "5s",
            "rate_limit": 10, "headers": {"X-Team": "a:b"}, "metadata": {"k": "v"},
            "status": "paused",
        })
    );
    for (args, body) in [
        (
            &["update", "ep_1", "--clear", "filter"][..],
            r#"{"filter":null}"#,
        ),
        (&["pause", "ep_1"], r#"{"status":"paused"}"#),
        (&["resume", "ep_1"], r#"{"status":"active"}"#),
        (&["disable", "ep_1"], r#"{"status":"disabled"}"#),
    ] {
        api.run(&[&["endpoints"], args].concat()).await;
        assert_eq!(api.requests().last().unwrap().body, body);
    }
}

#[tokio::test]
async fn pages_are_followed_with_all() {
    let api = Api::start().await;
    api.answers(
        "GET /v1/tenants/acme/events",
        json(r#"{"items":[{"id":"1"},{"id":"2"}],"next_cursor":"c+1"}"#),
    )
    .answers(
        "GET /v1/tenants/acme/events",
        json(r#"{"items":[{"id":"3"}],"next_cursor":null}"#),
    );
    let done = api
        .run(&[
            "events", "list", "--all", "--json", "--since", "2h", "--type", "a.*",
        ])
        .await;
    let value: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(value["items"].as_array().unwrap().len(), 3);
    assert_eq!(value["next_cursor"], serde_json::Value::Null);
    let queries: Vec<_> = api
        .requests()
        .into_iter()
        .map(|r| r.query.unwrap())
        .collect();
    assert_eq!(
        queries[0],
        "type=a.*&since=2026-01-31T10%3A00%3A00Z&limit=250"
    );
    assert_eq!(queries[1], format!("{}&cursor=c%2B1", queries[0]));
}

#[tokio::test]
async fn a_key_is_alone_on_standard_output() {
    let api = Api::start().await;
    api.answers(
        "POST /v1/tenants/acme/keys",
        json_status(201, r#"{"id":"key_1","key":"sp_secret"}"#),
    );
    let done = api
        .run(&["keys", "create", "--role", "portal", "--expires-in", "1h"])
        .await;
    assert_eq!(done.stdout, "sp_secret\n");
    assert!(done.stderr.contains("key_1"));
    assert_eq!(api.request().body, r#"{"role":"portal","expires_in":"1h"}"#);
}

#[tokio::test]
async fn secrets_are_of_an_endpoint_or_of_the_tenant() {
    let api = Api::start().await;
    let secret = r#"{"secret":"whsec_x","previous":[{"expires_at":"2026-02-01T12:00:00Z"}]}"#;
    api.answers("GET /v1/tenants/acme/secret", json(secret))
        .answers(
            "POST /v1/tenants/acme/endpoints/ep_1/secret/rotate",
            json(secret),
        );
    let done = api.run(&["secrets", "show"]).await;
    assert_eq!(done.stdout, "whsec_x\n");
    let done = api
        .run(&["secrets", "rotate", "ep_1", "--overlap", "1h"])
        .await;
    assert_eq!(done.stdout, "whsec_x\n");
    assert!(
        done.stderr.contains("2026-02-01 12:00:00"),
        "{}",
        done.stderr
    );
    assert_eq!(api.requests()[1].body, r#"{"overlap":"1h"}"#);
}

#[tokio::test]
async fn a_batch_goes_in_several_requests_and_names_the_bad_lines() {
    let api = Api::start().await;
    let path = "POST /v1/tenants/acme/events/batch";
    api.answers(path, json_status(202, r#"{"accepted":["a","b"],"rejected":[]}"#))
        .answers(path, Reply::status(503).header("retry-after", "1"))
        .answers(
            path,
            json_status(202, r#"{"accepted":[],"rejected":[{"index":0,"code":"validation_failed","detail":"/type: missing"}]}"#),
        );
    let dir = signpost_testkit::scratch_dir("batch").unwrap();
    let file = dir.join("events.ndjson");
    let text = "{\"type\":\"a\",\"data\":1.0}\n{\"id\":\"own\",\"type\":\"b\",\"data\":2}\n\n{\"data\":3}\n";
    std::fs::write(&file, text).unwrap();
    let done = api
        .run(&[
            "events",
            "send-batch",
            file.to_str().unwrap(),
            "--batch",
            "2",
        ])
        .await;
    assert_eq!(done.exit, Exit::Failure);
    assert_eq!(done.stdout, "line 4: /type: missing [validation_failed]\n");
    assert!(
        done.stderr.starts_with("2 accepted, 1 rejected\n"),
        "{}",
        done.stderr
    );
    let requests = api.requests();
    assert_eq!(
        requests.len(),
        3,
        "the second request is repeated after the 503"
    );
    assert_eq!(requests[1].body, requests[2].body, "with the same ids");
    assert_eq!(
        requests[0].header("content-type"),
        Some("application/x-ndjson")
    );
    let first = String::from_utf8_lossy(&requests[0].body).into_owned();
    assert!(
        first.starts_with(r#"{"id":"evt_"#) && first.contains(r#""data":1.0}"#),
        "{first}"
    );
}

#[tokio::test]
async fn many_are_retried_one_by_one_and_failures_are_counted() {
    let api = Api::start().await;
    api.answers(
        "POST /v1/tenants/acme/deliveries/dlv_1/retry",
        json_status(202, "{}"),
    )
    .answers(
        "POST /v1/tenants/acme/deliveries/dlv_3/retry",
        json_status(202, "{}"),
    );
    let done = api
        .run(&["deliveries", "retry", "dlv_1", "dlv_2", "dlv_3"])
        .await;
    assert_eq!(done.exit, Exit::Failure);
    assert!(
        done.stderr.contains("dlv_2: There is nothing here"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("2 of 3 done"), "{}", done.stderr);
    assert_eq!(api.requests().len(), 3);
}

#[tokio::test]
async fn events_are_replayed_by_time_oldest_first_after_a_yes() {
    let api = Api::start().await;
    api.answers(
        "GET /v1/tenants/acme/events",
        json(r#"{"items":[{"id":"new"},{"id":"old"}],"next_cursor":null}"#),
    )
    .answers(
        "POST /v1/tenants/acme/events/old/replay",
        json_status(202, "{}"),
    )
    .answers(
        "POST /v1/tenants/acme/events/new/replay",
        json_status(202, "{}"),
    );
    let done = api.run(&["events", "replay", "--since", "1h"]).await;
    assert_eq!(done.exit, Exit::Usage);
    assert!(done.stderr.contains("2 events"), "{}", done.stderr);
    let done = api
        .run(&[
            "events",
            "replay",
            "--since",
            "1h",
            "--yes",
            "--endpoint",
            "ep_1",
        ])
        .await;
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    let posts: Vec<_> = api
        .requests()
        .into_iter()
        .filter(|r| r.method == "POST")
        .collect();
    assert_eq!(posts[0].path, "/v1/tenants/acme/events/old/replay");
    assert_eq!(posts[1].body, r#"{"endpoint_id":"ep_1"}"#);
}

#[tokio::test]
async fn recover_waits_until_nothing_is_pending() {
    let api = Api::start().await;
    api.answers(
        "POST /v1/tenants/acme/endpoints/ep_1/recover",
        json_status(202, r#"{"deliveries":2}"#),
    )
    .answers(
        "GET /v1/tenants/acme/deliveries",
        json(r#"{"items":[],"next_cursor":null}"#),
    );
    let done = api
        .run(&["endpoints", "recover", "ep_1", "--since", "24h", "--wait"])
        .await;
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    assert!(
        done.stderr.contains("2 deliveries are sent again"),
        "{}",
        done.stderr
    );
    assert_eq!(
        api.requests()[0].body,
        r#"{"since":"2026-01-30T12:00:00Z"}"#
    );
}

#[tokio::test]
async fn tail_shows_each_change_once() {
    let api = Api::start().await;
    let path = "GET /v1/tenants/acme/deliveries";
    let page = |status: &str, attempts: u8| {
        json(&format!(
            r#"{{"items":[{{"id":"dlv_1","event_type":"a.b","endpoint_id":"ep_1","status":"{status}","attempt_count":{attempts},
            "created_at":"2026-01-31T12:00:00Z"}}],"next_cursor":null}}"#
        ))
    };
    api.answers(path, page("pending", 0))
        .answers(path, page("pending", 0))
        .answers(path, page("pending", 1))
        .answers(path, page("succeeded", 2));
    let done = api
        .run(&["deliveries", "tail", "--every", "1ms", "--lines", "3"])
        .await;
    insta::assert_snapshot!(done.stdout, @r"
    2026-01-31 12:00:00  pending    dlv_1  a.b  ep_1
    2026-01-31 12:00:00  pending    dlv_1  a.b  ep_1  attempt 1
    2026-01-31 12:00:00  succeeded  dlv_1  a.b  ep_1  attempt 2
    ");
}

#[tokio::test]
async fn a_test_send_that_fails_is_a_failure() {
    let api = Api::start().await;
    let path = "POST /v1/tenants/acme/endpoints/ep_1/test";
    api.answers(path, json(r#"{"success":true,"status_code":200,"duration_ms":3,"error":null,"response_body":"{\"ok\":true}"}"#))
        .answers(path, json(r#"{"success":false,"status_code":null,"duration_ms":2,"error":"connection refused","response_body":null}"#));
    let done = api
        .run(&[
            "endpoints",
            "test",
            "ep_1",
            "--type",
            "a.b",
            "--data",
            "{\"x\":1.0}",
        ])
        .await;
    assert_eq!(done.exit, Exit::Ok);
    assert_eq!(api.request().body, r#"{"type":"a.b","data":{"x":1.0}}"#);
    let again = api.run(&["endpoints", "test", "ep_1"]).await;
    assert_eq!(again.exit, Exit::Failure);
    insta::assert_snapshot!(done.stdout + &again.stdout, @r#"
    succeeded  status 200  after 3 ms
    {
      "ok": true
    }
    failed  after 2 ms  connection refused
    "#);
}

#[tokio::test]
async fn nothing_is_erased_without_a_yes() {
    let api = Api::start().await;
    api.answers("DELETE /v1/tenants/old", Reply::status(204));
    let done = api.run(&["tenants", "erase", "old"]).await;
    assert_eq!(done.exit, Exit::Usage);
    assert!(api.requests().is_empty());
    let done = api.run(&["tenants", "erase", "old", "--yes"]).await;
    assert_eq!((done.exit, done.stdout.as_str()), (Exit::Ok, ""));
}

#[tokio::test]
async fn a_write_carries_its_idempotency_key() {
    let api = Api::start().await;
    api.answers("PUT /v1/tenants/t1", problem(409, "conflict", "no"));
    api.run(&["tenants", "create", "t1", "--idempotency-key", "once-1"])
        .await;
    assert_eq!(api.request().header("idempotency-key"), Some("once-1"));
}
