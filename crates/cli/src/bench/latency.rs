//! Latencies in an HDR histogram: microseconds up to ten minutes, three digits.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::figure::{Figure, Goal};

/// A collection of durations.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// An empty one.
    ///
    /// # Errors
    /// Never with these bounds; the library checks them.
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, 600_000_000, 3)?))
    }

    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.max(1));
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value below which `quantile` (0 to 1) of them lie, in milliseconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "ten minutes in microseconds fit exactly"
    )]
    pub fn millis(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// The usual figures: p50, p99, p99.9 and the longest, with goals for the first two.
    pub fn figures(&self, prefix: &str, p50: Option<f64>, p99: Option<f64>) -> Vec<Figure> {
        let with_goal = |figure: Figure, most: Option<f64>| match most {
            Some(most) => figure.goal(Goal::AtMost(most)),
            None => figure,
        };
        vec![
            with_goal(
                Figure::new(format!("{prefix}.p50"), self.millis(0.5), "ms"),
                p50,
            ),
            with_goal(
                Figure::new(format!("{prefix}.p99"), self.millis(0.99), "ms"),
                p99,
            ),
            Figure::new(format!("{prefix}.p999"), self.millis(0.999), "ms"),
            Figure::new(format!("{prefix}.longest"), self.millis(1.0), "ms"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_three_digits() {
        let mut latencies = Latencies::new().unwrap();
        for millis in 1..=1000 {
            latencies.add(Duration::from_millis(millis));
        }
        assert!((latencies.millis(0.5) - 500.0).abs() < 1.0);
        assert!((latencies.millis(0.99) - 990.0).abs() < 1.0);
        assert_eq!(latencies.count(), 1000);
    }
}
