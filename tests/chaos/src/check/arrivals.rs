//! What arrived, against what was published: I1, I2, I3, I5.

use super::{Violation, index::Index, windows::Windows};
use crate::ledger::{Hit, Outcome};

/// Of a thousand deliveries, so many may arrive twice without a reason in flight.
const TWICE_PER_THOUSAND: usize = 2;

fn is_taken(hit: &Hit) -> bool {
    hit.answer == Some(200)
}

/// I1.
pub(super) fn lost(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for event in &index.ledgers.events {
        if let Outcome::Refused(reason) = &event.outcome {
            found.push(Violation::new(&event.id, format!("was refused: {reason}")));
        }
        let is_accepted = event.outcome == Outcome::Accepted;
        for (endpoint, _) in &event.wanted {
            let path = &index.ledgers.endpoints[*endpoint].path;
            let seen = index.deliveries.get(&(event.id.as_str(), *endpoint));
            let rows = seen.map_or(0, |seen| seen.rows.len());
            match rows {
                0 if is_accepted => {
                    found.push(Violation::new(
                        &event.id,
                        format!("has no delivery to {path}"),
                    ));
                }
                0 | 1 => {}
                _ => found.push(Violation::new(
                    &event.id,
                    format!("has {rows} deliveries to {path}"),
                )),
            }
            let Some(seen) = seen else { continue };
            for row in &seen.rows {
                if row.status != "succeeded" {
                    // The receiver takes everything at the third try at the latest.
                    found.push(Violation::new(
                        &row.id,
                        format!("to {path} is {}", row.status),
                    ));
                } else if !seen.hits.iter().any(|hit| is_taken(hit)) {
                    found.push(Violation::new(
                        &row.id,
                        format!("was never taken at {path}"),
                    ));
                }
            }
        }
    }
    found
}

/// I2.
pub(super) fn unexpected(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for hit in &index.ledgers.hits {
        let id = || format!("{} at {}", hit.event, hit.path);
        if let Some(problem) = &hit.signature_problem {
            found.push(Violation::new(id(), problem));
        }
        let event = index.events.get(hit.event.as_str());
        let wanted = event.and_then(|event| {
            let mut wanted = event.wanted.iter();
            wanted.find(|(endpoint, _)| Some(*endpoint) == hit.endpoint)
        });
        match (event, wanted) {
            (None, _) => found.push(Violation::new(id(), "nobody published this")),
            (Some(_), None) => found.push(Violation::new(id(), "this endpoint does not want it")),
            (Some(_), Some((_, body))) if *body != hit.body => {
                found.push(Violation::new(id(), "the body is not what it must be"));
            }
            (Some(_), Some(_)) => {}
        }
    }
    for ((event, endpoint), seen) in &index.deliveries {
        let is_wanted = index
            .events
            .get(event)
            .is_some_and(|event| event.wanted.iter().any(|(wanted, _)| wanted == endpoint));
        if !is_wanted {
            let rows = seen.rows.iter();
            found.extend(rows.map(|row| Violation::new(&row.id, "nobody asked for this delivery")));
        }
    }
    let strays = index.stray_rows.iter();
    found.extend(strays.map(|row| Violation::new(&row.id, "its endpoint is unknown")));
    found
}

/// Requests that were taken beyond the first of their delivery.
pub(super) fn count_twice(index: &Index<'_>) -> usize {
    let extra = |hits: &[&Hit]| {
        hits.iter()
            .filter(|hit| is_taken(hit))
            .count()
            .saturating_sub(1)
    };
    index
        .deliveries
        .values()
        .map(|seen| extra(&seen.hits))
        .sum()
}

/// I3.
pub(super) fn twice(index: &Index<'_>) -> Vec<Violation> {
    let windows = Windows::new(index.ledgers);
    let mut found = Vec::new();
    for ((event, endpoint), seen) in &index.deliveries {
        let path = &index.ledgers.endpoints[*endpoint].path;
        let taken: Vec<_> = seen.hits.iter().filter(|hit| is_taken(hit)).collect();
        // The last one is the one that counted.
        let Some((_, cut)) = taken.split_last() else {
            continue;
        };
        // An answer that came too late, or got lost on its way, was none: its row says so.
        let unheard = seen.rows.iter().flat_map(|row| index.attempts(row));
        let unheard = unheard
            .filter(|attempt| attempt.status_code.is_none())
            .count();
        for hit in cut.iter().filter(|hit| !windows.cover(hit)).skip(unheard) {
            let at = hit.at.as_secs_f64();
            let what =
                format!("was taken at {path} at {at:.3} s, and again, though nothing was cut off");
            found.push(Violation::new(*event, what));
        }
    }
    let (count, deliveries) = (count_twice(index), index.ledgers.deliveries.len());
    let attempts = index.ledgers.attempts.iter();
    let unheard = attempts
        .filter(|attempt| attempt.status_code.is_none())
        .count();
    let most = usize::try_from(windows.most()).unwrap_or(usize::MAX) + unheard;
    if count > deliveries * TWICE_PER_THOUSAND / 1000 && count > most {
        let what = format!(
            "{count} of {deliveries} were taken twice; at most {most} were in flight at the cuts"
        );
        found.push(Violation::new("deliveries", what));
    }
    found
}

/// I5.
pub(super) fn mixed_up(index: &Index<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for hit in &index.ledgers.hits {
        let Some(endpoint) = hit.endpoint else {
            continue;
        };
        let owner = &index.ledgers.endpoints[endpoint].tenant;
        let published = index
            .events
            .get(hit.event.as_str())
            .map(|event| &event.tenant);
        if hit.tenant != *owner || published.is_some_and(|tenant| tenant != owner) {
            let what = format!("an event of {} reached {owner}'s {}", hit.tenant, hit.path);
            found.push(Violation::new(&hit.event, what));
        }
    }
    for ((_, endpoint), seen) in &index.deliveries {
        let owner = &index.ledgers.endpoints[*endpoint].tenant;
        for row in seen.rows.iter().filter(|row| row.tenant != *owner) {
            let what = format!("a delivery of {} to an endpoint of {owner}", row.tenant);
            found.push(Violation::new(&row.id, what));
        }
    }
    found
}
