//! `signpost events send-batch`: a file of events, in requests of many.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use rand::RngExt as _;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use signpost_domain::EventId;

use crate::client::Call;
use crate::commands::{App, read_source, text};
use crate::error::{CliError, Result};

pub(super) const EXAMPLES: &str = "\
Each line is an event: {\"type\":\"license.created\",\"data\":{…},\"id\":\"order-4711\"}

Examples:
  signpost events send-batch events.ndjson
  zcat events.ndjson.gz | signpost events send-batch -

An event without an id gets one here, so that a request that has to be repeated publishes nothing
twice; running the command again does, unless the file has the ids.";

/// How long one request is repeated while the server says \"later\".
const PATIENCE: Duration = Duration::from_secs(120);
/// Most bytes of a request; one event has at most 256 KiB unless the operator allows more.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The events of a file.
#[derive(Debug, Args)]
pub struct SendBatch {
    /// The file, or - for standard input
    file: String,
    /// Events per request, at most 1000
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
}

/// What is looked at in a line; the rest is the server's business.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    id: Option<&'l RawValue>,
}

impl SendBatch {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<()> {
        let source = if self.file == "-" {
            self.file.clone()
        } else {
            format!("@{}", self.file)
        };
        let text = String::from_utf8(read_source(&source)?)
            .map_err(|_cause| CliError::Usage(format!("{} is not UTF-8", self.file)))?;
        let events = read_events(&text, || {
            EventId::generate(app.clock.now(), rand::rng().random()).to_string()
        })?;
        let path = ["tenants", app.tenant.as_str(), "events", "batch"];
        let bar = app.out.progress(Some(events.len() as u64), "publishing");
        let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
        for chunk in chunks(&events, usize::from(self.batch)) {
            let body = chunk
                .iter()
                .map(|event| event.json.as_str())
                .collect::<Vec<_>>()
                .join("\n");
            let call = Call::post(path).body("application/x-ndjson", body);
            let answer = app.client.send_patiently(call, PATIENCE).await?.value()?;
            accepted.extend(answer["accepted"].as_array().cloned().unwrap_or_default());
            for refusal in answer["rejected"].as_array().into_iter().flatten() {
                let index = refusal["index"]
                    .as_u64()
                    .and_then(|index| usize::try_from(index).ok());
                let line = index
                    .and_then(|index| chunk.get(index))
                    .map_or(0, |event| event.line);
                rejected.push(json!({
                    "line": line, "code": refusal["code"], "detail": refusal["detail"],
                }));
            }
            bar.add(chunk.len() as u64);
        }
        drop(bar);
        let (good, bad) = (accepted.len(), rejected.len());
        if app.out.is_json() {
            let all = json!({ "accepted": accepted, "rejected": rejected }).to_string();
            app.out.json(all.as_bytes())?;
        } else {
            for refusal in &rejected {
                app.out.line(format!(
                    "line {}: {} [{}]",
                    refusal["line"],
                    crate::output::clean(&text_of(refusal, "/detail")),
                    text_of(refusal, "/code"),
                ))?;
            }
        }
        app.out.talk(format!("{good} accepted, {bad} rejected"))?;
        if bad == 0 {
            Ok(())
        } else {
            Err(CliError::Failed(format!("{bad} events were rejected")))
        }
    }
}

fn text_of(value: &serde_json::Value, pointer: &str) -> String {
    text(value, pointer)
}

/// An event's JSON with its id, and the line (or place in the array) that it came from, from 1.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    line: usize,
    json: String,
}

fn read_events(text: &str, mut new_id: impl FnMut() -> String) -> Result<Vec<Event>> {
    let at = |line: usize, error: &serde_json::Error| {
        CliError::Usage(format!("line {line} is not a JSON object: {error}"))
    };
    let raw: Vec<(usize, &str)> = if text.trim_start().starts_with('[') {
        let items: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|error| at(error.line(), &error))?;
        items
            .into_iter()
            .enumerate()
            .map(|(index, raw)| (index + 1, raw.get()))
            .collect()
    } else {
        let lines = text.lines().enumerate();
        lines
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(i, line)| (i + 1, line))
            .collect()
    };
    let mut events = Vec::with_capacity(raw.len());
    for (line, raw) in raw {
        let parsed: Line<'_> = serde_json::from_str(raw).map_err(|error| at(line, &error))?;
        let is_missing = parsed.id.is_none_or(|id| id.get() == "null");
        // Array items may span lines, which one line of NDJSON must not; a line feed in JSON is
        // white space between tokens, never part of one.
        let mut json = raw.trim().replace(['\n', '\r'], " ");
        if parsed.id.is_none() && is_missing {
            let rest = json.trim_start_matches('{').trim_start();
            let comma = if rest.starts_with('}') { "" } else { "," };
            let mut with_id = String::with_capacity(json.len() + 40);
            write!(with_id, "{{\"id\":\"{}\"{comma}{rest}", new_id()).unwrap_or_default();
            json = with_id;
        }
        events.push(Event { line, json });
    }
    Ok(events)
}

/// Groups of at most `most` events and [`MAX_BYTES`].
fn chunks(events: &[Event], most: usize) -> impl Iterator<Item = &[Event]> {
    let mut rest = events;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take(most).take_while(|event| {
            bytes += event.json.len() + 1;
            bytes <= MAX_BYTES
        });
        // One that is too large by itself goes alone: the server says so.
        let count = fitting.count().max(1).min(rest.len());
        let (chunk, after) = rest.split_at(count);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Event> {
        let mut number = 0;
        read_events(text, || {
            number += 1;
            format!("evt_{number}")
        })
        .unwrap()
    }

    #[test]
    fn lines_without_an_id_get_one_and_data_stays_as_it_is() {
        let events = read(
            "{\"type\":\"a\",\"data\":{\"x\":1.0}}\n\n  {\"id\":\"own\",\"type\":\"b\",\"data\":{\"id\":1}}\n{}\n",
        );
        let lines: Vec<_> = events
            .iter()
            .map(|event| (event.line, event.json.as_str()))
            .collect();
        assert_eq!(
            lines,
            [
                (1, "{\"id\":\"evt_1\",\"type\":\"a\",\"data\":{\"x\":1.0}}"),
                (3, "{\"id\":\"own\",\"type\":\"b\",\"data\":{\"id\":1}}"),
                (4, "{\"id\":\"evt_2\"}"),
            ]
        );
    }

    #[test]
    fn an_array_is_read_as_well() {
        let events = read("[\n {\"type\":\"a\",\n  \"data\":1}, {\"id\":\"x\"}]");
        assert_eq!(
            events[0].json,
            "{\"id\":\"evt_1\",\"type\":\"a\",   \"data\":1}"
        );
        assert_eq!(events[1].line, 2);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = read_events("{}\nnope\n", || "x".to_owned()).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn chunks_are_bounded_in_number_and_size() {
        let event = |bytes: usize| Event {
            line: 1,
            json: "x".repeat(bytes),
        };
        let events: Vec<_> = [1, 1, 1, MAX_BYTES * 2, 1, MAX_BYTES - 1, 5]
            .map(event)
            .into();
        let sizes: Vec<_> = chunks(&events, 2).map(<[_]>::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1, 1, 1]);
    }
}
