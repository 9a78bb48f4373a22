//! What the database holds at the end, read with `psql`: not through the code under test.

use anyhow::{Context as _, Result};
use signpost_testkit::Database;

use crate::ledger::{AttemptRow, DeliveryRow};

const DELIVERIES: &str = "
SELECT tenant, id, event_id, endpoint_id, status, attempt_count,
    (extract(epoch FROM finished_at) * 1000000)::bigint
FROM deliveries";

const ATTEMPTS: &str = "
SELECT tenant, delivery_id, number, outcome, is_late,
    (extract(epoch FROM requested_at) * 1000000)::bigint, duration_ms, status_code,
    (extract(epoch FROM next_attempt_at) * 1000000)::bigint
FROM attempts";

/// All deliveries.
///
/// # Errors
/// The database cannot be read.
pub(crate) async fn deliveries(database: &Database) -> Result<Vec<DeliveryRow>> {
    rows(
        &database.psql(DELIVERIES).await?,
        |[tenant, id, event_id, endpoint_id, status, count, finished]| {
            Some(DeliveryRow {
                tenant: tenant.to_owned(),
                id: id.to_owned(),
                event_id: event_id.to_owned(),
                endpoint_id: endpoint_id.to_owned(),
                status: status.to_owned(),
                attempt_count: count.parse().ok()?,
                finished_at: optional(finished)?,
            })
        },
    )
}

/// All attempts.
///
/// # Errors
/// The database cannot be read.
pub(crate) async fn attempts(database: &Database) -> Result<Vec<AttemptRow>> {
    rows(
        &database.psql(ATTEMPTS).await?,
        |[
            tenant,
            id,
            number,
            outcome,
            late,
            requested,
            took,
            code,
            next,
        ]| {
            Some(AttemptRow {
                tenant: tenant.to_owned(),
                delivery_id: id.to_owned(),
                number: number.parse().ok()?,
                outcome: outcome.to_owned(),
                is_late: late == "t",
                requested_at: requested.parse().ok()?,
                duration_ms: took.parse().ok()?,
                status_code: optional(code)?,
                next_attempt_at: optional(next)?,
            })
        },
    )
}

/// Deliveries that have not ended, and events.
///
/// # Errors
/// The database cannot be read.
pub(crate) async fn open_and_events(database: &Database) -> Result<(u64, u64)> {
    let sql = "
        SELECT (SELECT count(*) FROM deliveries WHERE finished_at IS NULL),
            (SELECT count(*) FROM events WHERE type LIKE 'order.%' OR type LIKE 'user.%')";
    let found = rows(&database.psql(sql).await?, |[open, events]| {
        Some((open.parse().ok()?, events.parse().ok()?))
    })?;
    found.into_iter().next().context("counts are one row")
}

/// Reads what psql prints: a row per line, a bar between columns. No column here holds a bar.
fn rows<const N: usize, T>(text: &str, read: impl Fn([&str; N]) -> Option<T>) -> Result<Vec<T>> {
    text.lines()
        .map(|line| {
            let columns: Vec<_> = line.split('|').collect();
            <[&str; N]>::try_from(columns)
                .ok()
                .and_then(&read)
                .with_context(|| format!("not as expected: {line}"))
        })
        .collect()
}

/// A column that may be NULL, which psql prints as nothing.
#[expect(clippy::option_option, reason = "a value, NULL, or not readable")]
fn optional<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    if text.is_empty() {
        return Some(None);
    }
    text.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_psql_prints() {
        let read = |[a, b]: [&str; 2]| Some((a.to_owned(), optional::<u16>(b)?));
        let found = rows("x|1\ny|", read).unwrap();
        assert_eq!(found, [("x".to_owned(), Some(1)), ("y".to_owned(), None)]);
        assert!(rows("x", read).is_err() && rows("x|z", read).is_err());
        assert!(rows("", read).unwrap().is_empty());
    }
}
