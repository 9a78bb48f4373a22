//! The long line: when deferred deliveries of one endpoint come back.
//!
//! Each one that is deferred gets the next slot, spaced as fast as the endpoint works them off. So
//! a backlog comes back evenly, neither all at once nor again and again.

use std::time::{Duration, Instant};

/// No delivery is deferred for longer (beyond the time that the breaker or the receiver asked for).
const LONGEST: Duration = Duration::from_secs(300);
/// Nor for less: a shorter wait is not worth the way through a tier.
const SHORTEST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Line {
    last: Option<Instant>,
}

impl Line {
    /// Takes the next slot, not before `until`, and returns the wait from `now`.
    pub(super) fn next_slot(
        &mut self,
        until: Instant,
        spacing: Duration,
        now: Instant,
    ) -> Duration {
        let first = until.max(now + SHORTEST);
        let next = self.last.map_or(first, |last| (last + spacing).max(first));
        let slot = next.min(first + LONGEST);
        self.last = Some(slot);
        slot - now
    }

    pub(super) fn is_empty(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| last <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_spaced_and_start_when_allowed() {
        let now = Instant::now();
        let mut line = Line::default();
        let spacing = Duration::from_millis(50);
        assert_eq!(line.next_slot(now, spacing, now), Duration::from_secs(1));
        assert_eq!(
            line.next_slot(now, spacing, now),
            Duration::from_millis(1050)
        );
        let open_until = now + Duration::from_secs(30);
        assert_eq!(
            line.next_slot(open_until, spacing, now),
            Duration::from_secs(30)
        );
        assert!(!line.is_empty(now) && line.is_empty(now + Duration::from_secs(31)));
    }

    #[test]
    fn a_huge_backlog_waits_five_minutes_at_most() {
        let now = Instant::now();
        let mut line = Line::default();
        let mut longest = Duration::ZERO;
        for _ in 0..100_000 {
            longest = longest.max(line.next_slot(now, Duration::from_secs(9), now));
        }
        assert_eq!(longest, Duration::from_secs(301));
    }
}
