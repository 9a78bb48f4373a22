//! How old the newest probe that has arrived is, as a metric.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Utc};
use prometheus::{
    Gauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use signpost_domain::Clock;

/// When the newest probe that has arrived was published, as far as this replica knows.
#[derive(Debug)]
pub struct Newest {
    /// What counts before any probe is known of, in milliseconds since 1970.
    started_at: i64,
    /// In milliseconds since 1970; 0 for none.
    sent_at: AtomicI64,
}

impl Newest {
    /// None is known of yet: the age counts from now.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            started_at: now.timestamp_millis(),
            sent_at: AtomicI64::new(0),
        }
    }

    /// Learns of a probe that has arrived.
    pub fn saw(&self, sent_at: DateTime<Utc>) {
        let millis = sent_at.timestamp_millis();
        self.sent_at.fetch_max(millis, Ordering::Relaxed);
    }

    /// Seconds since the newest was published; not less than 0, as clocks differ.
    pub fn age(&self, now: DateTime<Utc>) -> f64 {
        let since = match self.sent_at.load(Ordering::Relaxed) {
            0 => self.started_at,
            sent_at => sent_at,
        };
        let age = now.timestamp_millis().saturating_sub(since).max(0);
        std::time::Duration::from_millis(age.unsigned_abs()).as_secs_f64()
    }
}

/// `signpost_e2e_delivery_age_seconds`, worked out whenever it is asked for: it grows also while
/// the rest of the process hangs.
#[derive(Debug)]
pub struct ProbeAge {
    newest: Arc<Newest>,
    clock: Arc<dyn Clock>,
    gauge: Gauge,
}

impl ProbeAge {
    /// The age of `newest` by `clock`.
    ///
    /// # Errors
    /// None for this name, which is legal.
    pub fn new(newest: Arc<Newest>, clock: Arc<dyn Clock>) -> Result<Self, prometheus::Error> {
        let gauge = Gauge::new(
            "signpost_e2e_delivery_age_seconds",
            "Age of the newest probe that went the whole way; grows while none arrives.",
        )?;
        Ok(Self {
            newest,
            clock,
            gauge,
        })
    }
}

impl Collector for ProbeAge {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set(self.newest.age(self.clock.now()));
        self.gauge.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[expect(clippy::float_cmp, reason = "whole seconds are exact")]
    #[test]
    fn is_that_of_the_newest_and_grows_while_none_arrives() {
        let newest = Newest::new(at(100));
        assert_eq!(newest.age(at(130)), 30.0);
        // What the ledger knew before the process started.
        newest.saw(at(40));
        assert_eq!(newest.age(at(130)), 90.0);
        newest.saw(at(120));
        newest.saw(at(110));
        assert_eq!(newest.age(at(130)), 10.0);
        assert_eq!(newest.age(at(190)), 70.0);
        assert_eq!(newest.age(at(119)), 0.0);
    }
}
