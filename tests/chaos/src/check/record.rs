//! The database's record of attempts, against what arrived: I4, I6, I7.

use super::{
    Violation,
    index::{Index, Seen},
    windows::Windows,
};
use crate::ledger::{AttemptRow, DeliveryRow};

/// Rows hold durations in whole milliseconds; this is how far a computed time may be off.
const ROUNDING_MICROS: i64 = 2_000;

fn each_row<'i, 'a>(
    index: &'i Index<'a>,
) -> impl Iterator<Item = (usize, &'i Seen<'a>, &'a DeliveryRow)> {
    index
        .deliveries
        .iter()
        .flat_map(|((_, endpoint), seen)| seen.rows.iter().map(move |row| (*endpoint, seen, *row)))
}

/// I4.
pub(super) fn incomplete(index: &Index<'_>) -> Vec<Violation> {
    let windows = Windows::new(index.ledgers);
    let mut found: Vec<_> = index
        .stray_attempts()
        .map(|row| Violation::new(&row.delivery_id, "has attempts, and is not there"))
        .collect();
    for (_, seen, row) in each_row(index) {
        let attempts = index.attempts(row);
        let is_numbered = attempts
            .iter()
            .zip(1..)
            .all(|(attempt, number)| attempt.number == number);
        if !is_numbered || usize::try_from(row.attempt_count).ok() != Some(attempts.len()) {
            let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
            let what = format!("counts {} attempts and has {numbers:?}", row.attempt_count);
            found.push(Violation::new(&row.id, what));
        }
        let answered = attempts
            .iter()
            .filter(|attempt| attempt.status_code.is_some())
            .count();
        if answered > seen.hits.len() {
            let what = format!(
                "{answered} attempts were answered, but {} requests came",
                seen.hits.len()
            );
            found.push(Violation::new(&row.id, what));
        }
        let without_row = seen.hits.len().saturating_sub(attempts.len());
        let cut = seen.hits.iter().filter(|hit| windows.cover(hit)).count();
        if without_row > cut {
            let what = format!(
                "{} requests came, {} attempts are recorded, and only {cut} can have been cut off",
                seen.hits.len(),
                attempts.len()
            );
            found.push(Violation::new(&row.id, what));
        }
    }
    found
}

/// The attempts that counted, in their order.
fn counted<'a>(index: &Index<'a>, row: &'a DeliveryRow) -> Vec<&'a AttemptRow> {
    let attempts = index.attempts(row).iter().copied();
    attempts.filter(|attempt| !attempt.is_late).collect()
}

/// I6.
pub(super) fn wrong_ends(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (_, _, row) in each_row(index) {
        let attempts = counted(index, row);
        let mut successes = attempts
            .iter()
            .filter(|attempt| attempt.outcome == "succeeded");
        let has_one = successes.next().is_some();
        if (row.status == "succeeded") != has_one || successes.next().is_some() {
            let outcomes: Vec<_> = attempts.iter().map(|attempt| &attempt.outcome).collect();
            found.push(Violation::new(
                &row.id,
                format!("is {} after {outcomes:?}", row.status),
            ));
        }
        let Some(finished_at) = row.finished_at else {
            continue;
        };
        if attempts
            .iter()
            .any(|attempt| attempt.ended_at() > finished_at + ROUNDING_MICROS)
        {
            found.push(Violation::new(
                &row.id,
                "had ended before its last attempt did",
            ));
        }
    }
    found
}

/// I7.
pub(super) fn too_early(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (endpoint, _, row) in each_row(index) {
        let delays = &index.ledgers.endpoints[endpoint].delays;
        let attempts = counted(index, row);
        for (pair, delay) in attempts.windows(2).zip(delays) {
            let [before, after] = pair else { continue };
            let delay = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
            let earliest = before.ended_at() + delay - ROUNDING_MICROS;
            let Some(promised) = before.next_attempt_at else {
                let what = format!(
                    "attempt {} was made though none was to follow",
                    after.number
                );
                found.push(Violation::new(&row.id, what));
                continue;
            };
            if promised < earliest || after.requested_at + ROUNDING_MICROS < promised {
                let early = (promised.max(earliest) - after.requested_at) / 1000;
                let what = format!("attempt {} came {early} ms too early", after.number);
                found.push(Violation::new(&row.id, what));
            }
        }
    }
    found
}
