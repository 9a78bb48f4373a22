//! What lists and stories look like.

use insta::assert_snapshot;

use crate::support::{Api, json, problem};

const DELIVERIES: &str = r#"{"items":[
  {"id":"dlv_01h455vb4pex5vsknk084sn02q","event_id":"evt_01h455vb4pex5vsknk084sn02q","event_type":"license.created",
   "endpoint_id":"ep_01h455vb4pex5vsknk084sn02q","status":"pending","attempt_count":1,"last_status_code":500,
   "created_at":"2026-01-31T11:59:58.123Z","next_attempt_at":"2026-01-31T12:00:10Z","finished_at":null},
  {"id":"dlv_01h455vb4pex5vsknk084sn02r","event_id":"order-4711","event_type":"license.created",
   "endpoint_id":"ep_01h455vb4pex5vsknk084sn02r","status":"succeeded","attempt_count":1,"last_status_code":204,
   "created_at":"2026-01-31T11:59:57Z","next_attempt_at":null,"finished_at":"2026-01-31T11:59:57.5Z"}],
  "next_cursor":"abc"}"#;

#[tokio::test]
async fn a_list_of_deliveries_is_a_table() {
    let api = Api::start().await;
    api.answers("GET /v1/tenants/acme/deliveries", json(DELIVERIES));
    let done = api.run(&["deliveries", "list", "--limit", "2"]).await;
    assert_snapshot!(done.stdout, @r"
    ID                              STATUS     EVENT TYPE       TRIES  CODE  CREATED (UTC)        NEXT ATTEMPT (UTC)   ENDPOINT
    dlv_01h455vb4pex5vsknk084sn02q  pending    license.created  1      500   2026-01-31 11:59:58  2026-01-31 12:00:10  ep_01h455vb4pex5vsknk084sn02q
    dlv_01h455vb4pex5vsknk084sn02r  succeeded  license.created  1      204   2026-01-31 11:59:57  -                    ep_01h455vb4pex5vsknk084sn02r
    ");
    assert_snapshot!(done.stderr, @"(there are more: --limit N or --all)");
}

#[tokio::test]
async fn a_narrow_terminal_gets_what_fits() {
    let api = Api::start().await;
    api.answers("GET /v1/tenants/acme/deliveries", json(DELIVERIES));
    let done = api
        .run_on_terminal(100, &["deliveries", "list", "--limit", "2"])
        .await;
    assert_snapshot!(done.stdout, @r"
    ID                              STATUS     EVENT TYPE       TRIES  CODE  CREATED (UTC)        
    dlv_01h455vb4pex5vsknk084sn02q  pending    license.created  1      500   2026-01-31 11:59:58
    dlv_01h455vb4pex5vsknk084sn02r  succeeded  license.created  1      204   2026-01-31 11:59:57
    ");
    assert_snapshot!(done.stderr, @r"
    (no room for: NEXT ATTEMPT (UTC), ENDPOINT; a wider terminal or --json shows all)
    (there are more: --limit N or --all)
    ");
}

#[tokio::test]
async fn json_is_what_the_api_said() {
    let api = Api::start().await;
    let event = r#"{"id":"e1","type":"a.b","data":{"z":1.10,"a":12345678901234567890,"e":1e400}}"#;
    api.answers("GET /v1/tenants/acme/events/e1", json(event));
    let done = api.run(&["events", "show", "e1", "--json"]).await;
    assert_eq!(done.stdout.replace(['\n', ' '], ""), event);
    let done = api.run(&["events", "show", "e1"]).await;
    assert_snapshot!(done.stdout, @r#"
    id    e1
    type  a.b
    data  {"z":1.10,"a":12345678901234567890,"e":1e400}
    "#);
}

#[tokio::test]
async fn lists_of_every_kind_render() {
    let api = Api::start().await;
    api.answers(
        "GET /v1/tenants",
        json(r#"{"items":[{"id":"acme","name":"Acme GmbH","created_at":"2026-01-01T00:00:00Z"},{"id":"default","name":null}],"next_cursor":null}"#),
    )
    .answers(
        "GET /v1/tenants/acme/keys",
        json(r#"{"items":[{"id":"key_1","role":"publisher","created_at":"2026-01-01T00:00:00Z","last_used_at":null,"expires_at":"2026-02-01T00:00:00Z"}],"next_cursor":null}"#),
    )
    .answers(
        "GET /v1/tenants/acme/endpoints",
        json(r#"{"items":[{"id":"ep_1","status":"paused","name":"Billing\u001b[31m","url":"https://example.com/hooks","events":["license.*","release.published"],"profile":"privato","updated_at":"2026-01-01T00:00:00Z"}],"next_cursor":null}"#),
    )
    .answers(
        "GET /v1/tenants/acme/event-types",
        json(r#"{"items":[{"type":"license.created","validation":"reject","schema":{"type":"object"},"description":"A license was made"}],"next_cursor":null}"#),
    )
    .answers(
        "GET /v1/profiles",
        json(r#"{"items":[{"name":"privato","built_in":true,"description":"Privato","profile":{"signature":{"header":"X-Signature","algorithm":"hmac-sha256"},"success":["200-299"],"timeout":"10s"}}],"next_cursor":null}"#),
    )
    .answers(
        "GET /v1/rejected",
        json(r#"{"items":[{"id":"rej_1","reason":"bad_json","routing_key":"acme.a.b","rejected_at":"2026-01-01T00:00:00Z","size":12,"detail":"expected value at line 1"}],"next_cursor":null}"#),
    );
    let mut all = Vec::new();
    for list in [
        "tenants",
        "keys",
        "endpoints",
        "event-types",
        "profiles",
        "rejected",
    ] {
        let done = api.run(&[list, "list"]).await;
        all.push(format!(
            "$ signpost {list} list\n{}{}",
            done.stdout, done.stderr
        ));
    }
    assert_snapshot!(all.concat(), @r"
    $ signpost tenants list
    ID       NAME       CREATED (UTC)
    acme     Acme GmbH  2026-01-01 00:00:00
    default  -          -
    $ signpost keys list
    ID     ROLE       CREATED (UTC)        LAST USED (UTC)  EXPIRES (UTC)
    key_1  publisher  2026-01-01 00:00:00  -                2026-02-01 00:00:00
    $ signpost endpoints list
    ID    STATUS  NAME               URL                        EVENTS                        PROFILE  UPDATED (UTC)
    ep_1  paused  Billing\u{1b}[31m  https://example.com/hooks  license.*, release.published  privato  2026-01-01 00:00:00
    $ signpost event-types list
    TYPE             VALIDATION  SCHEMA  UPDATED (UTC)  DESCRIPTION
    license.created  reject      yes     -              A license was made
    $ signpost profiles list
    NAME     BUILT IN  SIGNATURE HEADER  ALGORITHM    SUCCESS  TIMEOUT  DESCRIPTION
    privato  yes       X-Signature       hmac-sha256  200-299  10s      Privato
    $ signpost rejected list
    ID     REASON    REJECTED (UTC)       ROUTING KEY  BYTES  DETAIL
    rej_1  bad_json  2026-01-01 00:00:00  acme.a.b     12     expected value at line 1
    ");
}

#[tokio::test]
async fn an_empty_list_says_so_on_standard_error() {
    let api = Api::start().await;
    api.answers(
        "GET /v1/tenants/acme/endpoints",
        json(r#"{"items":[],"next_cursor":null}"#),
    );
    let done = api.run(&["endpoints", "list"]).await;
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("", "nothing there\n")
    );
    let done = api.run(&["endpoints", "list", "--json"]).await;
    assert_eq!(
        done.stdout.replace(['\n', ' '], ""),
        r#"{"items":[],"next_cursor":null}"#
    );
}

const STORY: &str = r#"{"id":"dlv_1","event_id":"evt_1","event_type":"license.created","endpoint_id":"ep_1",
  "status":"succeeded","attempt_count":2,"last_status_code":200,"created_at":"2026-01-31T12:00:00Z",
  "next_attempt_at":null,"finished_at":"2026-01-31T12:00:01.040Z","attempts":[
  {"number":1,"trigger":"event","outcome":"http_error","requested_at":"2026-01-31T12:00:00.004Z",
   "responded_at":"2026-01-31T12:00:00.016Z","duration_ms":12,"request_headers":{"webhook-id":"evt_1"},
   "request_body":"{\"data\":{\"id\":1.0}}","status_code":500,"response_headers":{"content-type":"text/plain"},
   "response_body":"oops","error":null,"next_attempt_at":"2026-01-31T12:00:01.016Z","retry_reason":"500 is retried"},
  {"number":2,"trigger":"retry","outcome":"succeeded","requested_at":"2026-01-31T12:00:01.030Z",
   "responded_at":"2026-01-31T12:00:01.040Z","duration_ms":10,"request_headers":{"webhook-id":"evt_1","webhook-signature":"v1,abc"},
   "request_body":"{\"data\":{\"id\":1.0}}","status_code":200,"response_headers":{"content-type":"text/plain"},
   "response_body":"ok\u0007","error":null,"next_attempt_at":null,"retry_reason":null}]}"#;

#[tokio::test]
async fn a_delivery_tells_its_whole_story() {
    let api = Api::start().await;
    api.answers("GET /v1/tenants/acme/deliveries/dlv_1", json(STORY))
        .answers(
            "GET /v1/tenants/acme/events/evt_1",
            json(r#"{"id":"evt_1","type":"license.created","occurred_at":"2026-01-31T11:59:59.9Z","data":{"id":1.0}}"#),
        )
        .answers(
            "GET /v1/tenants/acme/endpoints/ep_1",
            json(r#"{"id":"ep_1","name":"Billing","url":"https://example.com/hooks","profile":"standard-webhooks","status":"active"}"#),
        );
    let done = api.run(&["deliveries", "show", "dlv_1"]).await;
    assert_snapshot!(done.stdout, @r#"
    Delivery dlv_1  succeeded  2 attempts
      event     evt_1  license.created  occurred 2026-01-31 11:59:59.900
      endpoint  ep_1  Billing  https://example.com/hooks  standard-webhooks  active
      created   2026-01-31 12:00:00.000   finished 2026-01-31 12:00:01.040   (all times UTC)

    Attempt 1  http_error 500  (event)  sent 2026-01-31 12:00:00.004, answered after 12 ms
      retried   500 is retried; next at 2026-01-31 12:00:01.016

    Attempt 2  succeeded 200  (retry)  sent 2026-01-31 12:00:01.030, answered after 10 ms
      > webhook-id: evt_1
      > webhook-signature: v1,abc
      >   {
      >     "data": {
      >       "id": 1.0
      >     }
      >   }
      < content-type: text/plain
      <   ok\u{7}

    (headers and bodies of all attempts: --full)
    "#);
}

#[tokio::test]
async fn a_story_is_told_without_its_endpoint_too() {
    let api = Api::start().await;
    let delivery = r#"{"id":"dlv_1","event_id":"evt_1","event_type":"a.b","endpoint_id":"ep_1",
        "status":"failed","status_reason":"retries are used up","created_at":"2026-01-31T12:00:00Z","attempts":[
        {"number":1,"trigger":"event","outcome":"unreachable","requested_at":"2026-01-31T12:00:00Z",
         "duration_ms":3,"error":"connection refused","retry_reason":"retries are used up"}]}"#;
    api.answers("GET /v1/tenants/acme/deliveries/dlv_1", json(delivery))
        .answers(
            "GET /v1/tenants/acme/events/evt_1",
            problem(410, "body_expired", "gone"),
        );
    let done = api.run(&["deliveries", "show", "dlv_1"]).await;
    assert_snapshot!(done.stdout, @r"
    Delivery dlv_1  failed  1 attempt
      event     evt_1  a.b
      endpoint  ep_1  (no longer there)
      created   2026-01-31 12:00:00.000   (all times UTC)
      because   retries are used up

    Attempt 1  unreachable  (event)  sent 2026-01-31 12:00:00.000, given up after 3 ms
      error     connection refused
      then      retries are used up
    ");
}

#[tokio::test]
async fn stats_are_tables() {
    let api = Api::start().await;
    api.answers(
        "GET /v1/tenants/acme/stats",
        json(
            r#"{"since":"2026-01-30T12:00:00Z","by_status":{"succeeded":12,"failed":1},
            "endpoints":[{"endpoint_id":"ep_1","succeeded":12,"failed":1}]}"#,
        ),
    );
    let done = api.run(&["stats"]).await;
    assert_snapshot!(done.stdout, @r"
    since  2026-01-30 12:00:00
    BY STATUS  COUNT
    succeeded  12
    failed     1

    endpoints
    ENDPOINT ID  SUCCEEDED  FAILED
    ep_1         12         1
    ");
}
