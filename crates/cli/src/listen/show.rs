//! One request as a person or a program sees it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use signpost_testkit::Received;

use super::Arrival;
use crate::error::Result;
use crate::output::{Output, Tone, clean, pretty_or_text};
use crate::receive::{Verdict, pairs};

/// Most lines of a body without `--full`.
const BODY_LINES: usize = 20;

/// A request and how to show it.
pub(super) struct Shown<'a> {
    pub(super) arrival: &'a Arrival,
    /// How often this delivery has come to this path.
    pub(super) try_number: u32,
    pub(super) full: bool,
}

impl Shown<'_> {
    pub(super) fn show(&self, out: &mut Output) -> Result<()> {
        if out.is_json() {
            return out.json_line(&self.as_json());
        }
        let text = self.as_text(out);
        out.line(text)
    }

    fn as_text(&self, out: &Output) -> String {
        let Arrival {
            received,
            profile,
            verdict,
            facts,
            status,
        } = self.arrival;
        let tone = if verdict.is_good() {
            Tone::Good
        } else {
            Tone::Bad
        };
        let mut text = format!(
            "#{} {} {} {}  {}  {}  -> {status}",
            received.number,
            received.wall_time.format("%H:%M:%S%.3f"),
            received.method,
            clean(&received.path),
            facts
                .event_type
                .as_deref()
                .map_or("(no type)".into(), clean),
            out.paint(tone, verdict.word()),
        );
        let mut notes = Vec::new();
        notes.extend(facts.id.as_deref().map(|id| format!("id {}", clean(id))));
        notes.extend(
            facts
                .attempt
                .as_deref()
                .map(|n| format!("attempt {}", clean(n))),
        );
        if self.try_number > 1 {
            notes.push(format!("came {} times", self.try_number));
        }
        notes.push(match profile {
            Some(profile) => profile.clone(),
            None => "no route takes this path".to_owned(),
        });
        match verdict {
            Verdict::Verified(verified) => notes.extend(
                verified
                    .signed_at
                    .map(|at| format!("signed {}", at.format("%H:%M:%S"))),
            ),
            Verdict::Refused(error) => notes.push(clean(&error.to_string()).into_owned()),
            Verdict::Unsigned | Verdict::NotChecked => {}
        }
        write!(text, "\n   {}", notes.join(", ")).unwrap_or_default();
        if self.full {
            for (name, value) in pairs(&received.headers) {
                write!(text, "\n   {name}: {}", clean(&value)).unwrap_or_default();
            }
        }
        let body = pretty_or_text(&received.body);
        let most = if self.full { usize::MAX } else { BODY_LINES };
        for line in body.lines().take(most) {
            write!(text, "\n     {line}").unwrap_or_default();
        }
        let count = body.lines().count();
        if count > most {
            write!(text, "\n     … {} more lines: --full", count - most).unwrap_or_default();
        }
        text
    }

    fn as_json(&self) -> Value {
        let Arrival {
            received,
            profile,
            verdict,
            facts,
            status,
        } = self.arrival;
        let headers: Map<_, _> = pairs(&received.headers)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        let (reason, signed_at) = match verdict {
            Verdict::Verified(verified) => (None, verified.signed_at),
            Verdict::Refused(error) => (Some(error.to_string()), None),
            Verdict::Unsigned | Verdict::NotChecked => (Some(verdict.word().to_owned()), None),
        };
        let mut shown = json!({
            "number": received.number,
            "received_at": received.wall_time.to_rfc3339_opts(SecondsFormat::Millis, true),
            "method": received.method,
            "path": received.path,
            "profile": profile,
            "event_type": facts.event_type,
            "id": facts.id,
            "attempt": facts.attempt,
            "came": self.try_number,
            "verified": matches!(verdict, Verdict::Verified(_)),
            "reason": reason,
            "signed_at": signed_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            "answered": status,
            "headers": headers,
        });
        match std::str::from_utf8(&received.body) {
            Ok(body) => shown["body"] = body.into(),
            Err(_) => shown["body_base64"] = STANDARD.encode(&received.body).into(),
        }
        shown
    }
}

/// Writes the request as it came over the wire, for `signpost verify`.
pub(super) fn save(folder: &Path, received: &Received) -> Result<()> {
    let path = folder.join(format!("{:06}.http", received.number));
    let mut bytes = Vec::with_capacity(received.body.len() + 1024);
    let query = received
        .query
        .as_ref()
        .map_or(String::new(), |query| format!("?{query}"));
    // Writing to a Vec cannot fail.
    write!(
        bytes,
        "{} {}{query} HTTP/1.1\r\n",
        received.method, received.path
    )
    .unwrap_or_default();
    for (name, value) in &received.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&received.body);
    std::fs::write(&path, bytes).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(())
}
