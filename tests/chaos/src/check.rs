//! Whether the system kept its promises: pure functions over what was seen.
//!
//! | | promise |
//! |---|---|
//! | I1 | every accepted event ended, once, at every endpoint that wants it, and was taken there |
//! | I2 | nothing else arrived: right endpoint, right bytes, right signature |
//! | I3 | a delivery is taken twice only where a request was cut off |
//! | I4 | every request has its row, every row its request; numbers have no gaps |
//! | I5 | nothing of one tenant reached another |
//! | I6 | every delivery has one end, and it comes last |
//! | I7 | no attempt comes before its time |
//! | I8 | all is quiet soon after the last fault |
//! | I9 | one id is one event, however often it was sent |
//! | I11 | publishers are told the truth, soon |
//! | P4 | processes end only when they are killed or asked to, and then well |

mod answers;
mod arrivals;
mod index;
mod record;
#[cfg(test)]
mod tests;
mod windows;

use std::time::Duration;

use serde::Serialize;

use crate::ledger::Ledgers;
use index::Index;

/// So long after the last fault everything must be quiet.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

/// A promise with what breaks it.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// Its short name.
    pub(crate) invariant: &'static str,
    /// The promise.
    pub(crate) promise: &'static str,
    /// Empty when it was kept.
    pub(crate) violations: Vec<Violation>,
}

/// One way in which a promise was broken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Violation {
    /// What is wrong.
    pub(crate) what: String,
    /// With what: an event's or a delivery's id, or a part of the system.
    pub(crate) id: String,
}

impl Violation {
    fn new(id: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            id: id.into(),
        }
    }
}

/// Checks every promise.
pub(crate) fn check(ledgers: &Ledgers) -> Vec<Finding> {
    let index = Index::new(ledgers);
    let finding = |invariant, promise, violations| Finding {
        invariant,
        promise,
        violations,
    };
    vec![
        finding("I1", "nothing accepted is lost", arrivals::lost(&index)),
        finding(
            "I2",
            "nothing unexpected arrives",
            arrivals::unexpected(&index),
        ),
        finding(
            "I3",
            "hardly anything arrives twice",
            arrivals::twice(&index),
        ),
        finding("I4", "the record is complete", record::incomplete(&index)),
        finding(
            "I5",
            "a tenant sees only its own",
            arrivals::mixed_up(&index),
        ),
        finding(
            "I6",
            "every delivery has one end",
            record::wrong_ends(&index),
        ),
        finding(
            "I7",
            "no attempt before its time",
            record::too_early(&index),
        ),
        finding("I8", "quiet after the last fault", not_quiet(ledgers)),
        finding("I9", "one id is one event", answers::ids(&index)),
        finding("I11", "honest answers, soon", answers::dishonest(ledgers)),
        finding("P4", "no process ends badly", bad_ends(ledgers)),
    ]
}

/// Deliveries that were taken more often than once, requests too many.
pub(crate) fn count_twice(ledgers: &Ledgers) -> usize {
    arrivals::count_twice(&Index::new(ledgers))
}

fn not_quiet(ledgers: &Ledgers) -> Vec<Violation> {
    let end = &ledgers.end;
    let mut found: Vec<_> = end
        .queues
        .iter()
        .map(|(queue, ready, unacked)| {
            Violation::new(
                queue,
                format!("{ready} messages wait, {unacked} are unacked"),
            )
        })
        .collect();
    let open = ledgers
        .deliveries
        .iter()
        .filter(|row| row.finished_at.is_none());
    found.extend(open.map(|row| Violation::new(&row.id, format!("is still {}", row.status))));
    if end.quiet_after.is_none_or(|after| after > QUIET) {
        found.push(Violation::new(
            "system",
            format!("not quiet within {} s", QUIET.as_secs()),
        ));
    }
    found
}

fn bad_ends(ledgers: &Ledgers) -> Vec<Violation> {
    ledgers
        .bad_ends
        .iter()
        .map(|what| Violation::new("process", what))
        .collect()
}
