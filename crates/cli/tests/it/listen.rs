//! `signpost listen`, driven as a sender would.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Request;
use serde_json::Value;
use signpost_cli::client::Transport;
use signpost_cli::config::Environment;
use signpost_cli::error::Exit;
use signpost_cli::output::{Captured, Output};
use signpost_domain::{Clock as _, SystemClock};
use signpost_testkit::{free_port, wait_until};
use signpost_wire::{AttemptParts, EventParts, find_builtin};
use tokio::task::JoinHandle;

const PRIVATO: &str = "a-secret-of-privato";
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A `signpost listen` in the background.
struct Listening {
    url: String,
    captured: Captured,
    task: JoinHandle<Exit>,
}

async fn listen(args: &[&str]) -> Listening {
    let port = free_port().unwrap().to_string();
    let (mut output, captured) = Output::captured();
    let args: Vec<String> = ["signpost", "listen", "--port", &port]
        .iter()
        .chain(args)
        .map(|text| (*text).to_owned())
        .collect();
    let task = tokio::spawn(async move {
        let env = Environment::default();
        signpost_cli::run(args, &env, &mut output, Arc::new(SystemClock)).await
    });
    wait_until("it listens", Duration::from_secs(10), async || {
        let said = captured.stderr();
        if said.contains("listening on") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    Listening {
        url: format!("http://127.0.0.1:{port}"),
        captured,
        task,
    }
}

impl Listening {
    /// Sends an event as the dispatcher would, and gives the answer's status.
    async fn send(&self, path: &str, profile: &str, secret: &str, at: DateTime<Utc>) -> u16 {
        let profile = find_builtin(profile).unwrap();
        let event = EventParts {
            id: "evt_1",
            event_type: "license.created",
            tenant: "acme",
            occurred_at: at,
        };
        let body = profile.render_body(&event, br#"{"id":1.0}"#);
        let attempt = AttemptParts {
            delivery_id: "dlv_1",
            number: 1,
            at,
        };
        let key = profile.signing_key(secret).unwrap();
        let headers = profile
            .render_headers(&event, &attempt, &body, &[key])
            .unwrap();
        let mut request = Request::post("/");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.post(path, request.body(body).unwrap()).await
    }

    async fn post(&self, path: &str, request: Request<Bytes>) -> u16 {
        let url = format!("{}{path}", self.url).parse().unwrap();
        let answer = Transport::default()
            .send(&url, request, Duration::from_secs(10))
            .await;
        answer.unwrap().status().as_u16()
    }

    async fn end(self) -> (Exit, String) {
        let exit = tokio::time::timeout(Duration::from_secs(10), self.task).await;
        (
            exit.expect("it ends by itself").unwrap(),
            self.captured.stdout(),
        )
    }
}

#[tokio::test]
async fn each_route_verifies_with_its_own_profile_and_secret() {
    let privato = format!("/privato=privato:{PRIVATO}");
    let standard = format!("/standard=standard-webhooks:{STANDARD}");
    let routes = [
        "--route", &privato, "--route", &standard, "--once", "4", "--json",
    ];
    let listening = listen(&routes).await;
    let now = SystemClock.now();
    assert_eq!(
        listening.send("/privato", "privato", PRIVATO, now).await,
        200
    );
    assert_eq!(
        listening
            .send("/standard", "standard-webhooks", STANDARD, now)
            .await,
        200
    );
    assert_eq!(
        listening
            .send("/privato", "privato", "another-secret-here", now)
            .await,
        401
    );
    assert_eq!(listening.send("/other", "privato", PRIVATO, now).await, 404);
    let (exit, stdout) = listening.end().await;
    assert_eq!(exit, Exit::Failure, "one did not verify");
    let shown: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let verified: Vec<_> = shown
        .iter()
        .map(|request| request["verified"] == true)
        .collect();
    assert_eq!(verified, [true, true, false, false]);
    assert_eq!(shown[1]["event_type"], "license.created");
    assert_eq!(shown[1]["id"], "evt_1");
    assert_eq!(shown[0]["body"], r#"{"id":1.0}"#);
    assert!(
        shown[2]["reason"]
            .as_str()
            .unwrap()
            .contains("no signature matches")
    );
    assert!(!stdout.contains(PRIVATO) && !stdout.contains(STANDARD));
}

#[tokio::test]
async fn answers_follow_the_script_and_repeats_are_counted() {
    let args = [
        "--profile",
        "privato",
        "--secret",
        PRIVATO,
        "--status",
        "500,503,204",
        "--once",
        "3",
    ];
    let listening = listen(&args).await;
    let now = SystemClock.now();
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(listening.send("/any", "privato", PRIVATO, now).await);
    }
    assert_eq!(answers, [500, 503, 204]);
    let (exit, stdout) = listening.end().await;
    assert_eq!(exit, Exit::Ok);
    // The time of arrival is the only thing that differs between runs.
    let lines: Vec<_> = stdout
        .lines()
        .map(|line| {
            let mut words: Vec<_> = line.split(' ').collect();
            if line.starts_with('#') {
                words[1] = "TIME";
            }
            words.join(" ")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    #1 TIME POST /any  (no type)  verified  -> 500
       privato
         {
           "id": 1.0
         }
    #2 TIME POST /any  (no type)  verified  -> 503
       came 2 times, privato
         {
           "id": 1.0
         }
    #3 TIME POST /any  (no type)  verified  -> 204
       came 3 times, privato
         {
           "id": 1.0
         }
    "#);
}

#[tokio::test]
async fn old_and_unsigned_requests_are_refused() {
    let args = [
        "--profile",
        "standard-webhooks",
        "--secret",
        STANDARD,
        "--once",
        "2",
        "--json",
    ];
    let listening = listen(&args).await;
    let long_ago = SystemClock.now() - Duration::from_secs(3600);
    assert_eq!(
        listening
            .send("/", "standard-webhooks", STANDARD, long_ago)
            .await,
        401
    );
    let unsigned = Request::post("/")
        .body(Bytes::from_static(b"\xff not json"))
        .unwrap();
    assert_eq!(listening.post("/", unsigned).await, 401);
    let (_, stdout) = listening.end().await;
    let shown: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        shown[0]["reason"].as_str().unwrap().contains("ago"),
        "{}",
        shown[0]
    );
    assert!(
        shown[1]["reason"].as_str().unwrap().contains("missing"),
        "{}",
        shown[1]
    );
    assert_eq!(shown[1]["body_base64"], "/yBub3QganNvbg==");
}

#[tokio::test]
async fn a_saved_request_verifies_later() {
    let dir = signpost_testkit::scratch_dir("listen").unwrap();
    let folder = dir.to_str().unwrap();
    let args = [
        "--profile",
        "privato",
        "--secret",
        PRIVATO,
        "--once",
        "--save",
        folder,
    ];
    let listening = listen(&args).await;
    assert_eq!(
        listening
            .send("/hooks", "privato", PRIVATO, SystemClock.now())
            .await,
        200
    );
    assert_eq!(listening.end().await.0, Exit::Ok);
    let saved = dir.join("000001.http");
    let args = [
        "verify",
        "--profile",
        "privato",
        "--secret",
        PRIVATO,
        saved.to_str().unwrap(),
    ];
    let done = crate::support::run(&args).await;
    assert_eq!(done.exit, Exit::Ok, "{}", done.stdout);
}

#[tokio::test]
async fn a_license_manager_without_a_secret_sends_unsigned() {
    let listening = listen(&["--profile", "license-manager", "--once", "--json"]).await;
    let request =
        Request::post("/").body(Bytes::from_static(b"{\"event_type\":\"license.expired\"}"));
    assert_eq!(listening.post("/", request.unwrap()).await, 200);
    let (exit, stdout) = listening.end().await;
    assert_eq!(exit, Exit::Ok);
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&shown["verified"], &shown["reason"]),
        (&false.into(), &"unsigned".into())
    );
}
