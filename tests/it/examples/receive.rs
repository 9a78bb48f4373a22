//! Receiving: genuine webhooks are taken, changed, unsigned and old ones are not.

use std::{net::Ipv4Addr, process::Stdio, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::Full;
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use signpost_testkit::{free_port, wait_until};
use signpost_wire::{AttemptParts, EventParts, Profile, find_builtin};
use tokio::net::TcpStream;

use super::{Room, is_installed};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PREVIOUS: &str = "whsec_cHJldmlvdXMtc2VjcmV0LW9mLXRoZS1lbmRwb2ludA==";

type Headers = Vec<(&'static str, String)>;

/// The receivers compare the signed time with the machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the programs under test read the same clock"
)]
fn clock() -> DateTime<Utc> {
    Utc::now()
}

/// A webhook that was sent at `at`, signed with these secrets.
fn webhook(at: DateTime<Utc>, secrets: &[&str]) -> (Headers, Bytes) {
    let profile: Profile = find_builtin("standard-webhooks").unwrap();
    let keys: Vec<_> = secrets
        .iter()
        .map(|secret| profile.signing_key(secret).unwrap())
        .collect();
    let event = EventParts {
        id: "evt_1",
        event_type: "post.created",
        tenant: "acme",
        occurred_at: at,
    };
    let body = profile.render_body(&event, r#"{"title":"Größe 😀"}"#.as_bytes());
    let attempt = AttemptParts {
        delivery_id: "dlv_1",
        number: 1,
        at,
    };
    let headers = profile
        .render_headers(&event, &attempt, &body, &keys)
        .unwrap();
    let signed = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers = signed.map(|name| {
        let found = headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        (name, found.unwrap().1.clone())
    });
    (headers.to_vec(), body)
}

/// Sends a POST; the status, or what went wrong.
async fn post(port: u16, headers: &Headers, body: &Bytes) -> Result<StatusCode, String> {
    let failed = |error: &dyn std::error::Error| error.to_string();
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    let stream = TokioIo::new(stream.map_err(|error| failed(&error))?);
    let (mut sender, connection) = http1::handshake(stream)
        .await
        .map_err(|error| failed(&error))?;
    let mut request = Request::post("/")
        .header("host", "localhost")
        .header("connection", "close");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(body.clone())).unwrap();
    let (response, _ended) = tokio::join!(sender.send_request(request), connection);
    Ok(response.map_err(|error| failed(&error))?.status())
}

async fn tells_genuine_from_forged(language: &'static str, program: &[&str]) {
    let room = Room::enter(language).await;
    let port = free_port().unwrap();
    let words: Vec<String> = program
        .iter()
        .map(|word| word.replace("PORT", &port.to_string()))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = room.command(&words);
    command
        .env("SIGNPOST_SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut receiver = command.spawn().unwrap();

    let now = clock();
    let (headers, body) = webhook(now, &[SECRET]);
    let first = wait_until(
        "the receiver answers",
        Duration::from_secs(20),
        async || post(port, &headers, &body).await,
    );
    assert_eq!(first.await, StatusCode::NO_CONTENT);
    let (rotating, _) = webhook(now, &[PREVIOUS, SECRET]);
    assert_eq!(
        post(port, &rotating, &body).await,
        Ok(StatusCode::NO_CONTENT)
    );

    let refused = Ok(StatusCode::UNAUTHORIZED);
    let changed = Bytes::from([&body[..], b" "].concat());
    assert_eq!(
        post(port, &headers, &changed).await,
        refused,
        "a changed body"
    );
    assert_eq!(
        post(port, &Headers::new(), &body).await,
        refused,
        "no signature"
    );
    let (other, _) = webhook(now, &[PREVIOUS]);
    assert_eq!(post(port, &other, &body).await, refused, "another secret");
    for minutes in [-10, 10] {
        let (old, body) = webhook(now + TimeDelta::minutes(minutes), &[SECRET]);
        assert_eq!(
            post(port, &old, &body).await,
            refused,
            "{minutes} minutes off"
        );
    }
    receiver.kill().await.unwrap();
}

#[tokio::test]
async fn python_tells_genuine_from_forged() {
    tells_genuine_from_forged("python", &["python3", "receive.py", "PORT"]).await;
}

#[tokio::test]
async fn node_tells_genuine_from_forged() {
    tells_genuine_from_forged("node", &["node", "receive.js", "PORT"]).await;
}

#[tokio::test]
async fn php_tells_genuine_from_forged() {
    if !is_installed("php") {
        return;
    }
    tells_genuine_from_forged("php", &["php", "-S", "127.0.0.1:PORT", "receive.php"]).await;
}
