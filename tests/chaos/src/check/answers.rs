//! What publishers were told: I9, I11.

use std::{collections::HashSet, time::Duration};

use super::{Violation, index::Index};
use crate::{
    ledger::{Answer, Came, Ledgers, Outcome},
    schedule::Target,
};

/// No answer may take longer. It should come within 2 s; the rest is for a machine that also
/// starts servers and builds at this moment.
const SLOWEST: Duration = Duration::from_secs(5);
/// Connections may break this long before a fault is noted, and after its end is.
const AROUND: Duration = Duration::from_millis(500);

/// I9.
pub(super) fn ids(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let count = |outcome| {
        let events = index.ledgers.events.iter();
        events.filter(|event| event.outcome == outcome).count() as u64
    };
    let (accepted, unknown) = (count(Outcome::Accepted), count(Outcome::Unknown));
    let end = &index.ledgers.end;
    if end.events < accepted || end.events > accepted + unknown {
        let what = format!(
            "{} events are stored; {accepted} were accepted, of {unknown} nobody knows",
            end.events
        );
        found.push(Violation::new("events", what));
    }
    if end.rejected > 0 {
        let what = format!("holds {} messages; every event was right", end.rejected);
        found.push(Violation::new("signpost.rejected", what));
    }
    let mut seen = HashSet::new();
    for event in &index.ledgers.events {
        if !seen.insert(&event.id) {
            found.push(Violation::new(
                &event.id,
                "was made twice by the test itself",
            ));
        }
    }
    for answer in &index.ledgers.answers {
        if answer.came == (Came::Accepted { same_id: false }) {
            found.push(Violation::new(
                name(answer),
                "was accepted under another id",
            ));
        }
    }
    found
}

/// I11.
pub(super) fn dishonest(ledgers: &Ledgers) -> Vec<Violation> {
    let mut found = Vec::new();
    for answer in &ledgers.answers {
        let is_disturbed = || {
            ledgers.disturbances.iter().any(|disturbance| {
                disturbance.target == Target::Ingest(answer.ingest)
                    && disturbance.from.saturating_sub(AROUND) <= answer.at + answer.took
                    && answer.at <= disturbance.to + AROUND
            })
        };
        match &answer.came {
            Came::Accepted { .. }
            | Came::Status {
                code: 429 | 503,
                has_retry_after: true,
            } => {}
            Came::Status {
                code: code @ (429 | 503),
                has_retry_after: false,
            } => {
                found.push(Violation::new(
                    name(answer),
                    format!("{code} without Retry-After"),
                ));
            }
            Came::Status { code, .. } => {
                found.push(Violation::new(name(answer), format!("was answered {code}")));
            }
            Came::Broken(what) if !is_disturbed() => {
                found.push(Violation::new(name(answer), what));
            }
            Came::Broken(_) => {}
        }
        if answer.took > SLOWEST && !is_disturbed() {
            let what = format!("took {:.1} s", answer.took.as_secs_f64());
            found.push(Violation::new(name(answer), what));
        }
    }
    found
}

fn name(answer: &Answer) -> String {
    let at = answer.at.as_secs_f64();
    format!("{} at {at:.3} s", Target::Ingest(answer.ingest))
}
