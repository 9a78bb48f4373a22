//! A rate limit: requests per second, evenly spaced, with one second's worth of burst.

use std::time::{Duration, Instant};

/// The generic cell rate algorithm: the time at which the next request would be exactly on
/// schedule may run ahead of now by one second.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: u32,
    on_schedule: Instant,
}

impl RateLimit {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self {
            per_second,
            on_schedule: now,
        }
    }

    pub(super) const fn per_second(&self) -> u32 {
        self.per_second
    }

    /// The time between two requests.
    pub(super) fn spacing(&self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }

    /// When a request may be made, if not now.
    pub(super) fn wait_until(&self, now: Instant) -> Option<Instant> {
        let burst = Duration::from_secs(1).saturating_sub(self.spacing());
        let allowed = self.on_schedule.checked_sub(burst)?;
        (allowed > now).then_some(allowed)
    }

    /// Counts a request.
    pub(super) fn take(&mut self, now: Instant) {
        self.on_schedule = self.on_schedule.max(now) + self.spacing();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_a_second_s_worth_through_at_once_and_then_one_per_interval() {
        let now = Instant::now() + Duration::from_secs(10);
        let mut rate = RateLimit::new(5, now);
        for _ in 0..5 {
            assert_eq!(rate.wait_until(now), None);
            rate.take(now);
        }
        assert_eq!(rate.wait_until(now), Some(now + Duration::from_millis(200)));
        assert_eq!(rate.wait_until(now + Duration::from_millis(200)), None);
    }
}
