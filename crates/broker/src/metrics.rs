//! What this crate measures. The service registers it with its own registry.

use prometheus::{Histogram, HistogramOpts, IntGauge, IntGaugeVec, Opts, Registry};

/// The broker's part of the contract's metrics.
#[derive(Debug, Clone)]
pub struct BrokerMetrics {
    /// `signpost_publish_confirm_seconds`: from sending a message to the broker's confirm.
    pub publish_confirm_seconds: Histogram,
    /// `signpost_broker_connected`: 1 while every connection that is in use stands.
    pub connected: IntGauge,
    /// `signpost_queue_messages{queue}`: messages that are ready, not those in work.
    pub queue_messages: IntGaugeVec,
}

impl BrokerMetrics {
    /// Creates and registers them.
    ///
    /// # Errors
    /// The registry has such names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = HistogramOpts::new(
            "signpost_publish_confirm_seconds",
            "Time from sending a message to the broker's confirm.",
        );
        let buckets = vec![
            0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
        ];
        let metrics = Self {
            publish_confirm_seconds: Histogram::with_opts(seconds.buckets(buckets))?,
            connected: IntGauge::new(
                "signpost_broker_connected",
                "1 while every connection to the broker that is in use stands.",
            )?,
            queue_messages: IntGaugeVec::new(
                Opts::new("signpost_queue_messages", "Messages ready in a queue."),
                &["queue"],
            )?,
        };
        registry.register(Box::new(metrics.publish_confirm_seconds.clone()))?;
        registry.register(Box::new(metrics.connected.clone()))?;
        registry.register(Box::new(metrics.queue_messages.clone()))?;
        Ok(metrics)
    }
}
