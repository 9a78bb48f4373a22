//! Delay tiers: the retry queues of the topology. Any wait is a few hops through them.

use std::time::Duration;

/// One delay queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tier(usize);

/// Name and length in seconds, shortest first. The lengths are part of the queues' arguments and
/// can never change; add a tier instead.
const TIERS: [(&str, u64); 12] = [
    ("1s", 1),
    ("2s", 2),
    ("4s", 4),
    ("10s", 10),
    ("30s", 30),
    ("1m", 60),
    ("100s", 100),
    ("5m", 300),
    ("30m", 1_800),
    ("2h", 7_200),
    ("6h", 21_600),
    ("1d", 86_400),
];

impl Tier {
    /// Every tier, shortest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..TIERS.len()).map(Self)
    }

    /// Its name, as in the queue `signpost.retry.10s`.
    pub const fn name(self) -> &'static str {
        TIERS[self.0].0
    }

    /// Its length in production.
    pub const fn length(self) -> Duration {
        Duration::from_secs(TIERS[self.0].1)
    }
}

/// What recording and publishing may take without a retry going through several shorter tiers.
const SLACK: Duration = Duration::from_millis(100);
/// The same where tests scale the tiers down: recording takes its time all the same.
const SHORTEST_SLACK: Duration = Duration::from_millis(20);

/// The tiers as they are declared: in production with their own lengths, in tests scaled down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tiers {
    scale: f64,
}

impl Default for Tiers {
    fn default() -> Self {
        Self { scale: 1.0 }
    }
}

impl Tiers {
    /// Tiers whose lengths are multiplied by `scale` (more than 0, at most 1). For tests.
    pub fn scaled(scale: f64) -> Self {
        Self {
            scale: if scale > 0.0 && scale < 1.0 {
                scale
            } else {
                1.0
            },
        }
    }

    /// What all delays are multiplied by; 1 in production.
    pub const fn scale(self) -> f64 {
        self.scale
    }

    /// The time a message stays in the tier, at least a millisecond.
    pub fn ttl(self, tier: Tier) -> Duration {
        tier.length()
            .mul_f64(self.scale)
            .max(Duration::from_millis(1))
    }

    /// The largest tier that is not longer than what remains, or `None` when less than the
    /// shortest remains. A tier may be longer by a tenth of a second, the time that recording and
    /// publishing may have taken since the due time was fixed: a delay of 10 s is one hop through
    /// `10s`, not three through shorter ones.
    pub fn pick(self, remaining: Duration) -> Option<Tier> {
        let slack = SLACK.mul_f64(self.scale).max(SHORTEST_SLACK);
        Tier::all()
            .rev()
            .find(|tier| self.ttl(*tier) <= remaining + slack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(mut remaining: Duration) -> Vec<&'static str> {
        let tiers = Tiers::default();
        let mut names = Vec::new();
        while let Some(tier) = tiers.pick(remaining) {
            names.push(tier.name());
            remaining = remaining.saturating_sub(tiers.ttl(tier));
        }
        names
    }

    #[test]
    fn the_reference_delays_are_one_hop_each() {
        for (seconds, name) in [
            (1, "1s"),
            (2, "2s"),
            (4, "4s"),
            (10, "10s"),
            (60, "1m"),
            (100, "100s"),
            (300, "5m"),
            (1800, "30m"),
        ] {
            assert_eq!(hops(Duration::from_secs(seconds)), [name]);
            assert_eq!(
                hops(Duration::from_millis(seconds * 1000 - 40)),
                [name],
                "after 40 ms of recording"
            );
        }
    }

    #[test]
    fn any_other_delay_is_a_few_hops() {
        assert_eq!(hops(Duration::from_secs(5)), ["4s", "1s"]);
        assert_eq!(hops(Duration::from_secs(72_000)), ["6h", "6h", "6h", "2h"]);
        assert_eq!(hops(Duration::from_millis(500)), Vec::<&str>::new());
    }

    #[test]
    fn scaled_tiers_keep_their_names() {
        let tiers = Tiers::scaled(0.01);
        let tier = tiers.pick(Duration::from_secs(1)).unwrap();
        assert_eq!(
            (tier.name(), tiers.ttl(tier)),
            ("100s", Duration::from_secs(1))
        );
        assert_eq!(Tiers::scaled(-3.0), Tiers::default());
    }

    proptest::proptest! {
        #[test]
        fn never_overshoots_by_more_than_the_slack(millis in 0_u64..200_000_000) {
            let tiers = Tiers::default();
            let mut remaining = Duration::from_millis(millis);
            let mut waited = Duration::ZERO;
            let mut hops = 0;
            while let Some(tier) = tiers.pick(remaining) {
                waited += tiers.ttl(tier);
                remaining = remaining.saturating_sub(tiers.ttl(tier));
                hops += 1;
            }
            proptest::prop_assert!(waited <= Duration::from_millis(millis + 100));
            proptest::prop_assert!(waited + Duration::from_secs(1) > Duration::from_millis(millis));
            proptest::prop_assert!(hops < 30);
        }
    }
}
