//! `signpost verify` over saved requests.

use signpost_cli::error::Exit;

use crate::support::{Done, run};

/// The example of the Standard Webhooks specification, 1.0.0.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const REQUEST: &str = "POST /hooks HTTP/1.1\r\nhost: example.com\r\n\
    webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\nwebhook-timestamp: 1614265330\r\n\
    webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n\
    content-length: 20\r\n\r\n{\"test\": 2432232314}";

async fn verify(request: &str, args: &[&str]) -> Done {
    let dir = signpost_testkit::scratch_dir("verify").unwrap();
    let path = dir.join("request.http");
    std::fs::write(&path, request).unwrap();
    run(&[&["verify"], args, &[path.to_str().unwrap()]].concat()).await
}

#[tokio::test]
async fn a_good_request_shows_what_was_signed() {
    let done = verify(
        REQUEST,
        &["--profile", "standard-webhooks", "--secret", SECRET],
    )
    .await;
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    insta::assert_snapshot!(done.stdout, @r#"
    verified
    profile    standard-webhooks
    signed     {id}.{timestamp}.{body} with hmac-sha256, written in base64
    expected   webhook-signature: v1,<44 characters of base64>
    found      v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
    signed at  2021-02-25T15:02:10Z, 1800d before the clock; most receivers allow 5m
    content    60 bytes:
      | msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}
    "#);
    assert!(
        !done.stdout.contains("MfKQ9r8"),
        "the secret is never shown"
    );
}

#[tokio::test]
async fn the_age_counts_where_a_tolerance_is_given() {
    let base = [
        "--profile",
        "standard-webhooks",
        "--secret",
        SECRET,
        "--tolerance",
        "5m",
    ];
    let done = verify(REQUEST, &base).await;
    assert_eq!(done.exit, Exit::Failure);
    insta::assert_snapshot!(done.stdout.lines().take(2).collect::<Vec<_>>().join("\n"), @r"
    not verified
    why        signed at 2021-02-25 15:02:10 UTC, which is 155595470 s ago; at most 300 s are allowed
    ");
    let at = [&base[..], &["--at", "2021-02-25T15:03:00Z"]].concat();
    assert_eq!(verify(REQUEST, &at).await.exit, Exit::Ok);
}

#[tokio::test]
async fn a_bad_request_says_why_and_what_may_help() {
    let args = ["--profile", "standard-webhooks", "--secret", SECRET];
    let changed = REQUEST.replace("2432232314", "2432232315");
    let done = verify(&changed, &args).await;
    assert_eq!(done.exit, Exit::Failure);
    insta::assert_snapshot!(done.stdout, @r#"
    not verified
    why        no signature matches: expected hmac-sha256 over `{id}.{timestamp}.{body}`, where the body has 20 bytes exactly as received; found 1 signature, tried with 1 key
    profile    standard-webhooks
    signed     {id}.{timestamp}.{body} with hmac-sha256, written in base64
    expected   webhook-signature: v1,<44 characters of base64>
    found      v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
    content    60 bytes:
      | msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232315}
    "#);

    let with_line_feed = REQUEST.replace("content-length: 20\r\n", "") + "\n";
    let done = verify(&with_line_feed, &args).await;
    assert_eq!(done.exit, Exit::Failure);
    assert!(
        done.stdout.contains("an editor has added it"),
        "{}",
        done.stdout
    );

    let unsigned = REQUEST.replace("webhook-signature", "x-other");
    let done = verify(&unsigned, &args).await;
    assert!(
        done.stdout.contains("found      no such header"),
        "{}",
        done.stdout
    );
}

#[tokio::test]
async fn the_right_profile_is_suggested() {
    let request = "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n\
        X-Webhook-Signature: 757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n\nHello, World!";
    let args = [
        "--profile",
        "core-api",
        "--secret",
        "It's a Secret to Everybody",
    ];
    let done = verify(request, &args).await;
    assert_eq!(done.exit, Exit::Failure);
    assert!(
        done.stdout.contains("it verifies under profile "),
        "{}",
        done.stdout
    );
}

#[tokio::test]
async fn a_body_with_headers_beside_it_does_too() {
    let dir = signpost_testkit::scratch_dir("verify").unwrap();
    let body = dir.join("body");
    std::fs::write(&body, "Hello, World!").unwrap();
    let done = run(&[
        "verify",
        "--profile",
        "github",
        "--secret",
        "It's a Secret to Everybody",
        "--body",
        body.to_str().unwrap(),
        "--header",
        "x-hub-signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "--json",
    ])
    .await;
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    insta::assert_snapshot!(done.stdout, @r#"
    {
      "verified": true,
      "reason": null,
      "hint": null,
      "profile": "github",
      "signed": "{body}",
      "algorithm": "hmac-sha256",
      "header": "X-Hub-Signature-256",
      "expected": "sha256=<64 characters of hex>",
      "found": [
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
      ],
      "content": "Hello, World!",
      "signed_at": null,
      "note": null
    }
    "#);
}
