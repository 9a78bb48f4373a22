//! The dispatcher's metrics. Labels come from closed sets.

use prometheus::{
    Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};
use signpost_broker::RejectReason;
use signpost_domain::{DeliveryStatus, Outcome, Tier};

/// Why a delivery was deferred.
#[derive(Debug, Clone, Copy)]
pub enum Deferral {
    /// Its endpoint's gate said so: busy, slow, open circuit, rate limit, asked-for pause.
    Gate,
    /// It was redelivered by the broker and waits until its former worker must have ended.
    Redelivered,
    /// Our own fault: no file descriptors, no name server.
    OwnFault,
}

impl Deferral {
    const ALL: [Self; 3] = [Self::Gate, Self::Redelivered, Self::OwnFault];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Redelivered => "redelivered",
            Self::OwnFault => "own_fault",
        }
    }
}

/// All counters, made and registered once at start.
#[derive(Debug, Clone)]
pub struct Metrics {
    events_accepted: IntCounterVec,
    events_rejected: IntCounterVec,
    /// Deliveries made by fan-out.
    pub fanout_deliveries: IntCounter,
    attempts: IntCounterVec,
    /// Seconds from an attempt's start to its answer.
    pub attempt_duration: Histogram,
    /// Seconds from acceptance to the start of the first attempt.
    pub event_to_first_attempt: Histogram,
    retries_scheduled: IntCounterVec,
    deliveries_finished: IntCounterVec,
    /// Attempts under way.
    pub in_flight: IntGauge,
    deferred: IntCounterVec,
    /// Seconds that a ledger transaction took.
    pub ledger_write: Histogram,
    /// Events that were there already: a publisher's or the broker's repeats.
    pub repeats: IntCounter,
    /// Events whose data does not fit the schema of their type, which only warns.
    pub schema_warnings: IntCounter,
    /// Deliveries that the reconciler published again.
    pub reconciled: IntCounter,
}

const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

impl Metrics {
    /// Makes and registers all metrics.
    ///
    /// # Errors
    /// When the registry has one of the names already.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, Error>(counters)
        };
        let histogram = |name: &str, help: &str| {
            let histogram =
                Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, Error>(histogram)
        };
        let in_flight = IntGauge::new("signpost_deliveries_in_flight", "Attempts under way.")?;
        registry.register(Box::new(in_flight.clone()))?;
        let metrics = Self {
            events_accepted: counters(
                "signpost_events_accepted_total",
                "Events that were fanned out or recognised as repeats.",
                "source",
            )?,
            events_rejected: counters(
                "signpost_events_rejected_total",
                "Messages that went to signpost.rejected.",
                "reason",
            )?,
            fanout_deliveries: counter(
                "signpost_fanout_deliveries_total",
                "Deliveries made by fan-out.",
            )?,
            attempts: counters("signpost_attempts_total", "Attempts by outcome.", "outcome")?,
            attempt_duration: histogram(
                "signpost_attempt_duration_seconds",
                "From an attempt's start to its answer.",
            )?,
            event_to_first_attempt: histogram(
                "signpost_event_to_first_attempt_seconds",
                "From an event's acceptance to its first attempt.",
            )?,
            retries_scheduled: counters(
                "signpost_retries_scheduled_total",
                "Retries by the tier they first wait in.",
                "tier",
            )?,
            deliveries_finished: counters(
                "signpost_deliveries_finished_total",
                "Deliveries that ended, by status.",
                "status",
            )?,
            in_flight,
            deferred: counters(
                "signpost_deliveries_deferred_total",
                "Deferrals that used up no attempt, by reason.",
                "reason",
            )?,
            ledger_write: histogram(
                "signpost_ledger_write_seconds",
                "Duration of ledger transactions.",
            )?,
            repeats: counter(
                "signpost_events_repeated_total",
                "Events that were there already.",
            )?,
            schema_warnings: counter(
                "signpost_schema_warnings_total",
                "Events whose data does not fit the schema of their type (validation: warn).",
            )?,
            reconciled: counter(
                "signpost_deliveries_reconciled_total",
                "Deliveries that the reconciler published again.",
            )?,
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    /// Series that have not counted yet are shown as zero, so that rates and alerts work.
    fn show_zeros(&self) {
        self.events_accepted.with_label_values(&["amqp"]).inc_by(0);
        for reason in RejectReason::ALL {
            self.events_rejected
                .with_label_values(&[reason.as_str()])
                .inc_by(0);
        }
        for outcome in Outcome::ALL {
            self.attempts
                .with_label_values(&[outcome.as_str()])
                .inc_by(0);
        }
        for status in DeliveryStatus::ALL {
            if status.is_final() {
                self.deliveries_finished
                    .with_label_values(&[status.as_str()])
                    .inc_by(0);
            }
        }
        for tier in Tier::all() {
            self.retries_scheduled
                .with_label_values(&[tier.name()])
                .inc_by(0);
        }
        for reason in Deferral::ALL {
            self.deferred
                .with_label_values(&[reason.as_str()])
                .inc_by(0);
        }
    }

    /// Counts an event that was published over AMQP; ingest counts its own.
    pub fn count_accepted_over_amqp(&self) {
        self.events_accepted.with_label_values(&["amqp"]).inc();
    }

    /// Counts a rejected message.
    pub fn count_rejected(&self, reason: RejectReason) {
        self.events_rejected
            .with_label_values(&[reason.as_str()])
            .inc();
    }

    /// Counts an attempt.
    pub fn count_attempt(&self, outcome: Outcome) {
        self.attempts.with_label_values(&[outcome.as_str()]).inc();
    }

    /// Counts a retry by the tier that it first waits in (`none`: less than the shortest).
    pub fn count_retry(&self, tier: Option<Tier>) {
        self.retries_scheduled
            .with_label_values(&[tier.map_or("none", Tier::name)])
            .inc();
    }

    /// Counts deliveries that have ended.
    pub fn count_finished(&self, status: DeliveryStatus, count: u64) {
        self.deliveries_finished
            .with_label_values(&[status.as_str()])
            .inc_by(count);
    }

    /// Counts a deferral.
    pub fn count_deferred(&self, reason: Deferral) {
        self.deferred.with_label_values(&[reason.as_str()]).inc();
    }
}
