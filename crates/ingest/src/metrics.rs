//! The metrics that ingest owns, beside those of `broker`. Labels come from closed sets: never a
//! tenant or a URL.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::error::ErrorCode;

/// The counters of this service.
#[derive(Debug, Clone)]
pub struct Metrics {
    accepted: IntCounter,
    rejected: IntCounterVec,
}

impl Metrics {
    /// Creates and registers them.
    ///
    /// # Errors
    /// The registry has such names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let accepted = IntCounterVec::new(
            Opts::new(
                "signpost_events_accepted_total",
                "Events that the broker has confirmed, by the way they came in.",
            ),
            &["source"],
        )?;
        let rejected = IntCounterVec::new(
            Opts::new(
                "signpost_events_rejected_total",
                "Events that were refused, by the reason.",
            ),
            &["reason"],
        )?;
        registry.register(Box::new(accepted.clone()))?;
        registry.register(Box::new(rejected.clone()))?;
        Ok(Self {
            accepted: accepted.with_label_values(&["http"]),
            rejected,
        })
    }

    /// Counts an event that the broker has confirmed.
    pub fn count_accepted(&self) {
        self.accepted.inc();
    }

    /// Counts an event that was refused.
    pub fn count_rejected(&self, code: ErrorCode) {
        self.rejected.with_label_values(&[code.as_str()]).inc();
    }
}
