//! Tells whether a consumer is dead although its channel lives, by what the broker says of its
//! queue. Pure: looks come in, a finding comes out.

use std::time::Duration;

use tokio::time::Instant;

use super::ConsumerView;
use crate::queues::QueueDepth;

/// The time between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A consumer that gets nothing for so long, while its queue holds messages and it could take
/// some, is dead.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// So many looks in a row at a queue without consumers: a queue whose leader is being elected has
/// none for a moment, either.
const FORGOTTEN_AFTER: u32 = 2;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The broker does not know it any more. Seen once the broker has settled what the consumer
    /// held; until then it counts as one.
    Forgotten,
    /// The queue holds messages, and none comes.
    Stalled,
}

/// One look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Messages received since the start.
    pub(super) delivered: u64,
    /// Whether its prefetch leaves room for another message.
    pub(super) has_room: bool,
    /// What the broker says; `None` when it says nothing.
    pub(super) depth: Option<QueueDepth>,
}

impl Look {
    /// A look at both consumers of a window together, and one at the second alone: that one has the
    /// larger part of the window, and without it the queue would be worked off, but slowly.
    pub(super) fn at(view: &ConsumerView, depth: Option<QueueDepth>) -> [Self; 2] {
        [
            (view.delivered, view.window),
            (view.delivered_by_more, view.more),
        ]
        .map(|(delivered, window)| Self {
            delivered,
            has_room: view.unsettled < window,
            depth,
        })
    }
}

/// What the looks so far have given.
#[derive(Debug, Default)]
pub(super) struct Watch {
    delivered: u64,
    without_consumers: u32,
    kept_waiting_since: Option<Instant>,
}

impl Watch {
    /// Takes another look into account.
    pub(super) fn look(&mut self, look: Look, now: Instant) -> Option<Finding> {
        let depth = look.depth.filter(|_| look.delivered == self.delivered);
        self.delivered = look.delivered;
        let Some(depth) = depth else {
            // It lives, or nobody knows.
            self.without_consumers = 0;
            self.kept_waiting_since = None;
            return None;
        };
        if depth.consumers == 0 {
            self.without_consumers += 1;
        } else {
            self.without_consumers = 0;
        }
        if self.without_consumers >= FORGOTTEN_AFTER {
            return Some(Finding::Forgotten);
        }
        if depth.ready == 0 || !look.has_room {
            self.kept_waiting_since = None;
            return None;
        }
        let since = *self.kept_waiting_since.get_or_insert(now);
        (now - since >= STALLED_AFTER).then_some(Finding::Stalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Look = look(0, 1);

    const fn look(ready: u32, consumers: u32) -> Look {
        Look {
            delivered: 0,
            has_room: true,
            depth: Some(QueueDepth { ready, consumers }),
        }
    }

    /// The findings of looks at the usual distance.
    fn findings(looks: impl IntoIterator<Item = Look>) -> Vec<Option<Finding>> {
        let (mut watch, mut now) = (Watch::default(), Instant::now());
        let find = |look| {
            now += LOOK_EVERY;
            watch.look(look, now)
        };
        looks.into_iter().map(find).collect()
    }

    #[test]
    fn a_queue_without_consumers_has_forgotten_this_one() {
        assert_eq!(
            findings([QUIET, look(0, 0), QUIET, look(0, 0), look(0, 0)]),
            [None, None, None, None, Some(Finding::Forgotten)]
        );
    }

    #[test]
    fn messages_that_wait_for_half_a_minute_do_not_come() {
        let mut expected = [None; 7];
        expected[6] = Some(Finding::Stalled);
        assert_eq!(findings([look(3, 2); 7]), expected);
    }

    #[test]
    fn the_larger_consumer_is_seen_to_be_dead_beside_the_smaller_one() {
        let view = |delivered, unsettled, more| ConsumerView {
            queue: "q",
            alive: Ok(()),
            delivered,
            delivered_by_more: 500,
            unsettled,
            window: 32 + more,
            more,
            last_delivery: None,
        };
        let depth = look(3, 2).depth;
        let finds = |unsettled, more| {
            let looks = (0..9).map(|n| Look::at(&view(n, unsettled, more), depth));
            let (both, second): (Vec<_>, Vec<_>) =
                looks.map(|[both, second]| (both, second)).unzip();
            assert_eq!(findings(both), [None; 9]);
            findings(second).into_iter().flatten().next()
        };
        // The first look is its first sign of life.
        assert_eq!(finds(20, 968), Some(Finding::Stalled));
        // It may have all that it can hold, or large messages have closed it.
        assert_eq!(finds(968, 968), None);
        assert_eq!(finds(20, 0), None);
    }

    #[test]
    fn what_shows_life_or_nothing_begins_the_wait_anew() {
        let waiting = look(3, 2);
        let delivered = Look {
            delivered: 1,
            ..waiting
        };
        let full = Look {
            has_room: false,
            ..waiting
        };
        let unknown = Look {
            depth: None,
            ..waiting
        };
        for other in [QUIET, full, unknown] {
            let looks = [[waiting; 6], [other; 6], [waiting; 6]].concat();
            assert_eq!(findings(looks), [None; 18], "{other:?}");
        }
        let looks = [[waiting; 6], [delivered; 6]].concat();
        assert_eq!(findings(looks), [None; 12]);
    }
}
