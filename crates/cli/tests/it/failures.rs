//! What goes wrong is said clearly and gives the right exit code.

use signpost_cli::error::Exit;
use signpost_testkit::{Reply, free_port};

use crate::support::{Api, problem, run};

#[tokio::test]
async fn every_pointer_of_a_refusal_is_shown() {
    let api = Api::start().await;
    let body = r#"{"code":"validation_failed","title":"The content of the request is not valid","status":422,
        "detail":"/url: only https:// URLs are allowed; and 1 more",
        "errors":[{"pointer":"/url","detail":"only https:// URLs are allowed"},{"pointer":"/events","detail":"name at least one"}]}"#;
    api.answers(
        "POST /v1/tenants/acme/endpoints",
        Reply::status(422).body(body),
    );
    let done = api.run(&["endpoints", "create", "--name", "x"]).await;
    assert_eq!(done.exit, Exit::Invalid);
    assert_eq!(done.stdout, "");
    insta::assert_snapshot!(done.stderr, @r"
    error: 2 things are wrong [422 validation_failed]
      /url: only https:// URLs are allowed
      /events: name at least one
    ");
    let done = api
        .run(&["endpoints", "create", "--name", "x", "--json"])
        .await;
    let document: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(document["errors"][1]["pointer"], "/events");
}

#[tokio::test]
async fn each_refusal_has_its_exit_code() {
    for (status, exit) in [
        (401, Exit::Refused),
        (403, Exit::Refused),
        (404, Exit::NotFound),
        (409, Exit::Invalid),
        (429, Exit::Unavailable),
        (500, Exit::Failure),
        (503, Exit::Unavailable),
    ] {
        let api = Api::start().await;
        api.answers(
            "GET /v1/tenants/acme/endpoints/ep_1",
            problem(status, "some_code", "because"),
        );
        let done = api.run(&["endpoints", "show", "ep_1"]).await;
        assert_eq!(done.exit, exit, "{status}");
        assert!(done.stderr.contains("because"), "{}", done.stderr);
        assert!(done.stderr.contains("some_code"), "{}", done.stderr);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let url = format!("http://127.0.0.1:{}", free_port().unwrap());
    let done = run(&["--server", &url, "tenants", "list"]).await;
    assert_eq!(done.exit, Exit::Unavailable);
    assert!(done.stderr.contains(&url), "{}", done.stderr);
}

#[tokio::test]
async fn another_kind_of_server_is_recognised() {
    let api = Api::start().await;
    api.answers(
        "GET /v1/tenants",
        Reply::status(200).body("<html>hello</html>"),
    );
    let done = api.run(&["tenants", "list"]).await;
    assert_eq!(done.exit, Exit::Failure);
    assert!(done.stderr.contains("cannot be read"), "{}", done.stderr);
}

#[tokio::test]
async fn wrong_use_exits_with_two() {
    for args in [
        &["nonsense"][..],
        &["events", "send"],
        &["events", "send", "a.b", "--data", "{not json"],
        &["events", "send", "a.b", "--data", "@/nowhere"],
        &["--server", "ftp://x", "tenants", "list"],
        &["--tenant", "Not A Tenant", "endpoints", "list"],
        &["endpoints", "update", "ep_1"],
        &["endpoints", "show", ".."],
        &["listen"],
        &["verify", "--profile", "privato", "file"],
        &["keys", "create", "--role", "king"],
        &["deliveries", "list", "--since", "yesterday"],
    ] {
        let done = run(args).await;
        assert_eq!(done.exit, Exit::Usage, "{args:?}: {}", done.stderr);
        assert!(
            !done.stderr.is_empty() && done.stdout.is_empty(),
            "{args:?}"
        );
    }
}

#[tokio::test]
async fn secrets_on_the_command_line_are_not_repeated_in_errors() {
    for args in [
        &["listen", "--route", "privato:hush-hush"][..],
        &[
            "listen",
            "--profile",
            "standard-webhooks",
            "--secret",
            "hush hush",
        ],
        &[
            "verify",
            "--profile",
            "standard-webhooks",
            "--secret",
            "hush hush",
            "/nowhere",
        ],
        &["--key", "hush\u{1}hush", "tenants", "list"],
    ] {
        let done = run(args).await;
        assert_eq!(done.exit, Exit::Usage, "{args:?}");
        assert!(!done.stderr.contains("hush"), "{}", done.stderr);
    }
}
