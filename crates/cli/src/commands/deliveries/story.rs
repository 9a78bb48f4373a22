//! `signpost deliveries show`: the whole story of a delivery on one screen.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use crate::client::{Call, check_id};
use crate::commands::{App, text};
use crate::error::{CliError, Result};
use crate::output::{Output, Tone, clean, pretty_or_text, time_ms};

/// Most lines of a body on the one screen.
const BODY_LINES: usize = 12;

/// Which delivery, and how much of it.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id
    id: String,
    /// Headers and bodies of every attempt, uncut, not only of the last
    #[arg(long)]
    full: bool,
}

impl Show {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        let path = ["tenants", &tenant, "deliveries", check_id(&self.id)?];
        let answer = app.call(Call::get(path)).await?;
        if app.out.is_json() {
            return app.out.json(&answer.body);
        }
        let delivery = answer.value()?;
        let event = find(
            app,
            ["tenants", &tenant, "events", &text(&delivery, "/event_id")],
        )
        .await?;
        let endpoint = find(
            app,
            [
                "tenants",
                &tenant,
                "endpoints",
                &text(&delivery, "/endpoint_id"),
            ],
        )
        .await?;
        let story = tell(
            &delivery,
            event.as_ref(),
            endpoint.as_ref(),
            self.full,
            app.out,
        );
        app.out.line(story)
    }
}

/// A thing that may have been removed since.
async fn find(app: &App<'_>, path: [&str; 4]) -> Result<Option<Value>> {
    match app.call(Call::get(path)).await {
        Ok(answer) => answer.value().map(Some),
        Err(CliError::Problem(problem)) if matches!(problem.status, 404 | 410 | 403) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The story as text.
fn tell(
    delivery: &Value,
    event: Option<&Value>,
    endpoint: Option<&Value>,
    full: bool,
    out: &Output,
) -> String {
    let mut story = String::new();
    let get = |pointer| clean(&text(delivery, pointer)).into_owned();
    let empty = Vec::new();
    let attempts = delivery["attempts"].as_array().unwrap_or(&empty);
    let tries = match attempts.len() {
        1 => "1 attempt".to_owned(),
        n => format!("{n} attempts"),
    };
    say(
        &mut story,
        &format!(
            "Delivery {}  {}  {tries}",
            get("/id"),
            word(out, &get("/status"))
        ),
    );
    let occurred = event.map(|event| time_ms(&text(event, "/occurred_at")));
    say(
        &mut story,
        &format!(
            "  event     {}  {}{}",
            get("/event_id"),
            get("/event_type"),
            occurred.map_or(String::new(), |time| format!("  occurred {time}")),
        ),
    );
    say(
        &mut story,
        &format!(
            "  endpoint  {}  {}",
            get("/endpoint_id"),
            describe(endpoint, out)
        ),
    );
    let mut times = format!("  created   {}", time_ms(&get("/created_at")));
    for (label, pointer) in [
        ("finished", "/finished_at"),
        ("next attempt", "/next_attempt_at"),
    ] {
        let found = get(pointer);
        if !found.is_empty() {
            write!(times, "   {label} {}", time_ms(&found)).unwrap_or_default();
        }
    }
    say(&mut story, &format!("{times}   (all times UTC)"));
    let reason = get("/status_reason");
    if !reason.is_empty() {
        say(&mut story, &format!("  because   {reason}"));
    }
    for (index, attempt) in attempts.iter().enumerate() {
        let is_last = index + 1 == attempts.len();
        story.push('\n');
        tell_attempt(&mut story, attempt, out);
        if full || is_last {
            tell_exchange(
                &mut story,
                attempt,
                if full { usize::MAX } else { BODY_LINES },
            );
        }
    }
    if attempts.is_empty() {
        say(&mut story, "\nNo attempt has been made yet.");
    } else if attempts.len() > 1 && !full {
        say(&mut story, "\n(headers and bodies of all attempts: --full)");
    }
    story.truncate(story.trim_end().len());
    story
}

fn describe(endpoint: Option<&Value>, out: &Output) -> String {
    let Some(endpoint) = endpoint else {
        return "(no longer there)".to_owned();
    };
    let get = |pointer| clean(&text(endpoint, pointer)).into_owned();
    format!(
        "{}  {}  {}  {}",
        get("/name"),
        get("/url"),
        get("/profile"),
        word(out, &get("/status"))
    )
}

/// One attempt on two lines: what it gave, and what follows.
fn tell_attempt(story: &mut String, attempt: &Value, out: &Output) {
    let get = |pointer| clean(&text(attempt, pointer)).into_owned();
    let mut line = format!(
        "Attempt {}  {}",
        get("/number"),
        word(out, &get("/outcome"))
    );
    let code = get("/status_code");
    if !code.is_empty() {
        write!(line, " {code}").unwrap_or_default();
    }
    write!(
        line,
        "  ({})  sent {}",
        get("/trigger"),
        time_ms(&get("/requested_at"))
    )
    .unwrap_or_default();
    let answered = get("/responded_at");
    let duration = get("/duration_ms");
    match (answered.is_empty(), duration.is_empty()) {
        (false, false) => write!(line, ", answered after {duration} ms"),
        (true, false) => write!(line, ", given up after {duration} ms"),
        _ => Ok(()),
    }
    .unwrap_or_default();
    if attempt["is_late"] == true {
        line.push_str("; another worker had settled it before");
    }
    say(story, &line);
    let error = get("/error");
    if !error.is_empty() {
        say(story, &format!("  error     {error}"));
    }
    let (reason, next) = (get("/retry_reason"), get("/next_attempt_at"));
    match (reason.is_empty(), next.is_empty()) {
        (false, false) => say(
            story,
            &format!("  retried   {reason}; next at {}", time_ms(&next)),
        ),
        (true, false) => say(story, &format!("  retried   next at {}", time_ms(&next))),
        (false, true) => say(story, &format!("  then      {reason}")),
        (true, true) => {}
    }
}

/// What was sent and what came back.
fn tell_exchange(story: &mut String, attempt: &Value, most_lines: usize) {
    for (mark, headers, body) in [
        (">", "/request_headers", "/request_body"),
        ("<", "/response_headers", "/response_body"),
    ] {
        let lines = header_lines(attempt.pointer(headers));
        let body = text(attempt, body);
        if lines.is_empty() && body.is_empty() {
            continue;
        }
        for line in lines {
            say(story, &format!("  {mark} {}", clean(&line)));
        }
        let shown = pretty_or_text(body.as_bytes());
        let count = shown.lines().count();
        for line in shown.lines().take(most_lines) {
            say(story, &format!("  {mark}   {line}"));
        }
        if count > most_lines {
            say(
                story,
                &format!("  {mark}   … {} more lines: --full", count - most_lines),
            );
        }
    }
}

/// Headers as lines; a header that came several times has a list of values.
fn header_lines(headers: Option<&Value>) -> Vec<String> {
    let line = |name: &str, value: &Value| match value {
        Value::Array(values) => values
            .iter()
            .map(|value| format!("{name}: {}", value.as_str().unwrap_or_default()))
            .collect(),
        value => vec![format!("{name}: {}", value.as_str().unwrap_or_default())],
    };
    let map = headers.and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .flat_map(|(name, value)| line(name, value))
        .collect()
}

/// A word of the contract in its colour.
fn word(out: &Output, word: &str) -> String {
    match Tone::of_status(word) {
        Some(tone) => out.paint(tone, word),
        None => word.to_owned(),
    }
}

fn say(story: &mut String, line: &str) {
    story.push_str(line);
    story.push('\n');
}
