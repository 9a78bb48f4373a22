//! When a request may have been cut off: at a kill or a freeze of a dispatcher, and when the
//! receiver went down.

use std::time::Duration;

use crate::{
    ledger::{Disturbance, Hit, Ledgers},
    schedule::Target,
    world::ATTEMPT_TIMEOUT,
};

/// An answer may have waited this long for its record.
const RECORDED_WITHIN: Duration = Duration::from_secs(1);
/// A request that left just before a kill may be read this much later on a busy machine.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// What is usually answered and not yet recorded, at any moment.
const USUAL_RECORD: Duration = Duration::from_millis(250);
/// After a disturbance of the database its clients need this long to connect again.
const RECONNECT: Duration = Duration::from_secs(3);

/// Times in which requests may have been cut off, with how many at most.
pub(super) struct Windows(Vec<Window>);

struct Window {
    from: Duration,
    to: Duration,
    in_flight: u64,
}

impl Windows {
    pub(super) fn new(ledgers: &Ledgers) -> Self {
        let cuts = ledgers.disturbances.iter().filter(|disturbance| {
            disturbance.cuts_work
                && matches!(disturbance.target, Target::Dispatcher(_) | Target::Receiver)
        });
        Self(cuts.map(|cut| window(cut, ledgers)).collect())
    }

    /// Whether this request may have been cut off.
    pub(super) fn cover(&self, hit: &Hit) -> bool {
        // Without an answer it may have been under way until its timeout.
        let until = match hit.answer {
            Some(_) => hit.at,
            None => hit.at + ATTEMPT_TIMEOUT,
        };
        self.0
            .iter()
            .any(|window| window.from <= until && hit.at <= window.to)
    }

    /// How many requests may have been cut off in all.
    pub(super) fn most(&self) -> u64 {
        self.0.iter().map(|window| window.in_flight).sum()
    }
}

fn window(cut: &Disturbance, ledgers: &Ledgers) -> Window {
    let before = |longest: Duration| {
        let usual = cut.from.saturating_sub(longest);
        // While the database is away nothing is recorded.
        ledgers
            .disturbances
            .iter()
            .filter(|other| {
                other.target == Target::Postgres
                    && other.from <= cut.from
                    && other.to + RECONNECT >= usual
            })
            .map(|other| other.from.saturating_sub(longest))
            .fold(usual, Duration::min)
    };
    let since = before(USUAL_RECORD);
    let unrecorded = ledgers
        .hits
        .iter()
        .filter(|hit| since <= hit.at && hit.at <= cut.from)
        .count();
    Window {
        from: before(RECORDED_WITHIN),
        to: cut.from + READ_WITHIN,
        in_flight: cut.in_flight + u64::try_from(unrecorded).unwrap_or(u64::MAX),
    }
}
