//! How long to wait before trying again: 0.2 s, doubled up to 5 s, for ever.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait before the next try: nothing after a success, then more with every failure. Half
    /// of it is random (`random` is 0 to 1), so that many clients do not come back at once.
    pub(crate) fn wait(&self, random: f64) -> Duration {
        let Some(doublings) = self.failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let longest = FIRST.saturating_mul(1 << doublings.min(10)).min(LONGEST);
        longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_with_each_failure_up_to_five_seconds() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            waits.push(backoff.wait(1.0).as_millis());
            backoff.failed();
        }
        assert_eq!(waits, [0, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.wait(0.0).as_millis(), 2500);
        for _ in 0..100 {
            backoff.failed();
        }
        assert_eq!(backoff.wait(7.0).as_millis(), 5000);
        backoff.succeeded();
        assert_eq!(backoff.wait(1.0), Duration::ZERO);
    }
}
