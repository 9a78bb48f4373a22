//! A scripted API and a way to run commands against it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use signpost_cli::config::Environment;
use signpost_cli::error::Exit;
use signpost_cli::output::Output;
use signpost_domain::Clock;
use signpost_testkit::{Received, Receiver, Reply};

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-01-31T12:00:00Z")
            .unwrap()
            .to_utc()
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An API that answers what it was told to.
pub(crate) struct Api {
    receiver: Receiver,
    answers: Arc<Mutex<HashMap<String, Vec<Reply>>>>,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let receiver = Receiver::start().await.unwrap();
        let answers: Arc<Mutex<HashMap<String, Vec<Reply>>>> = Arc::default();
        let script = Arc::clone(&answers);
        receiver.answer_with(move |request| {
            let mut answers = script.lock().unwrap();
            let key = format!("{} {}", request.method, request.path);
            match answers.get_mut(&key) {
                Some(replies) if replies.len() > 1 => replies.remove(0),
                Some(replies) => replies[0].clone(),
                None => problem(
                    404,
                    "not_found",
                    "There is nothing here that this key may see.",
                ),
            }
        });
        Self { receiver, answers }
    }

    /// Answers `METHOD /path` so; several answers come in order, the last one stays.
    pub(crate) fn answers(&self, request: &str, reply: Reply) -> &Self {
        let mut answers = self.answers.lock().unwrap();
        answers.entry(request.to_owned()).or_default().push(reply);
        self
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.receiver.received()
    }

    /// The one request that came.
    pub(crate) fn request(&self) -> Received {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// Runs `signpost ARGS` against this API, as tenant acme.
    pub(crate) async fn run(&self, args: &[&str]) -> Done {
        let url = self.receiver.url();
        run(&[
            &["--server", &url, "--key", "key", "--tenant", "acme"],
            args,
        ]
        .concat())
        .await
    }

    /// The same on a terminal of this many columns, without colour codes.
    pub(crate) async fn run_on_terminal(&self, width: u16, args: &[&str]) -> Done {
        let url = self.receiver.url();
        let global = ["--server", &url, "--key", "key", "--tenant", "acme"];
        let mut done = run_with(&[&global, args].concat(), Some(width)).await;
        done.stdout = without_colors(&done.stdout);
        done
    }
}

/// Runs `signpost ARGS` with an empty environment.
pub(crate) async fn run(args: &[&str]) -> Done {
    run_with(args, None).await
}

async fn run_with(args: &[&str], width: Option<u16>) -> Done {
    let (output, captured) = Output::captured();
    let mut output = match width {
        Some(width) => output.as_terminal(width),
        None => output,
    };
    let args = std::iter::once("signpost").chain(args.iter().copied());
    let env = Environment::default();
    let exit = signpost_cli::run(args, &env, &mut output, Arc::new(StoppedClock)).await;
    Done {
        exit,
        stdout: captured.stdout(),
        stderr: captured.stderr(),
    }
}

pub(crate) fn json(body: &str) -> Reply {
    json_status(200, body)
}

pub(crate) fn json_status(status: u16, body: &str) -> Reply {
    Reply::status(status)
        .header("content-type", "application/json")
        .body(body.to_owned())
}

pub(crate) fn problem(status: u16, code: &str, detail: &str) -> Reply {
    let body = serde_json::json!({"code": code, "title": "no", "status": status, "detail": detail});
    Reply::status(status)
        .header("content-type", "application/problem+json")
        .body(body.to_string())
}

fn without_colors(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for c in chars.by_ref() {
                if c == 'm' {
                    break;
                }
            }
        } else {
            out.push(c);
        }
    }
    out
}
