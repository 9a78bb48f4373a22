//! Which acks to send for what was settled: as few as possible.
//!
//! Each frame costs the broker and us about as much as a message, so what is settled without a gap
//! is acked by one frame with `multiple`; what lies behind a gap (a slow receiver) is acked one by
//! one. Nothing waits for a gap to close. Pure; [`super::session`] sends the frames.

use std::collections::BTreeSet;

/// What became of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settlement {
    /// The delivery tag, from 1 in the order of delivery.
    pub(crate) tag: u64,
    /// Acked, or else given back.
    pub(crate) done: bool,
}

/// A frame to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// `basic.ack`; with `multiple` for all up to and including the tag.
    Ack { tag: u64, multiple: bool },
    /// `basic.nack` with `requeue`.
    Requeue { tag: u64 },
}

/// The settled tags of one channel.
#[derive(Debug, Default)]
pub(crate) struct AckBook {
    /// All tags up to this one are settled at the broker.
    floor: u64,
    /// Tags above the floor that are settled at the broker.
    beyond: BTreeSet<u64>,
}

impl AckBook {
    /// Takes what has been settled and gives the frames that tell the broker.
    pub(crate) fn settle(&mut self, settlements: &[Settlement]) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut acked = BTreeSet::new();
        for settlement in settlements {
            if settlement.done {
                acked.insert(settlement.tag);
            } else {
                frames.push(Frame::Requeue {
                    tag: settlement.tag,
                });
                self.beyond.insert(settlement.tag);
            }
        }
        let mut newest = None;
        loop {
            let next = self.floor + 1;
            if acked.remove(&next) {
                newest = Some(next);
            } else if !self.beyond.remove(&next) {
                break;
            }
            self.floor = next;
        }
        // The tag must be one that the broker still knows: the newest of this round, not the
        // floor, which may have been settled by itself before.
        if let Some(tag) = newest {
            frames.push(Frame::Ack {
                tag,
                multiple: true,
            });
        }
        for tag in acked {
            self.beyond.insert(tag);
            frames.push(Frame::Ack {
                tag,
                multiple: false,
            });
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn acks(tags: &[u64]) -> Vec<Settlement> {
        let settled = tags.iter().map(|&tag| Settlement { tag, done: true });
        settled.collect()
    }

    const fn multiple(tag: u64) -> Frame {
        Frame::Ack {
            tag,
            multiple: true,
        }
    }

    const fn single(tag: u64) -> Frame {
        Frame::Ack {
            tag,
            multiple: false,
        }
    }

    #[test]
    fn what_has_no_gap_is_one_frame() {
        let mut book = AckBook::default();
        assert_eq!(book.settle(&acks(&[2, 1, 3])), [multiple(3)]);
        assert_eq!(book.settle(&acks(&[4])), [multiple(4)]);
        assert_eq!(book.settle(&[]), []);
    }

    #[test]
    fn what_lies_behind_a_gap_does_not_wait() {
        let mut book = AckBook::default();
        assert_eq!(
            book.settle(&acks(&[1, 3, 5])),
            [multiple(1), single(3), single(5)]
        );
        // 3 is settled already: the frame names 2, which the broker still knows.
        assert_eq!(book.settle(&acks(&[2])), [multiple(2)]);
        assert_eq!(book.settle(&acks(&[4, 6])), [multiple(6)]);
        assert!(book.beyond.is_empty());
    }

    #[test]
    fn given_back_messages_are_neither_acked_nor_a_gap() {
        let mut book = AckBook::default();
        let back = Settlement {
            tag: 2,
            done: false,
        };
        let settled = [acks(&[1, 3]), vec![back]].concat();
        assert_eq!(
            book.settle(&settled),
            [Frame::Requeue { tag: 2 }, multiple(3)]
        );
        assert_eq!(book.settle(&acks(&[4])), [multiple(4)]);
    }

    /// What RabbitMQ does with acks: an unknown tag closes the channel.
    #[derive(Default)]
    struct Broker {
        outstanding: BTreeSet<u64>,
        fate: HashMap<u64, bool>,
    }

    impl Broker {
        fn take(&mut self, frame: Frame) {
            let (tag, done, multiple) = match frame {
                Frame::Ack { tag, multiple } => (tag, true, multiple),
                Frame::Requeue { tag } => (tag, false, false),
            };
            assert!(
                self.outstanding.contains(&tag),
                "unknown delivery tag {tag}"
            );
            let from = if multiple { 0 } else { tag };
            for tag in self
                .outstanding
                .range(from..=tag)
                .copied()
                .collect::<Vec<_>>()
            {
                self.outstanding.remove(&tag);
                self.fate.insert(tag, done);
            }
        }
    }

    proptest! {
        #[test]
        fn in_any_order_and_grouping_each_message_gets_its_fate_and_nothing_is_acked_early(
            order in Just((1_u64..=60).collect::<Vec<_>>()).prop_shuffle(),
            fates in proptest::collection::vec(any::<bool>(), 60),
            cuts in proptest::collection::vec(1_usize..8, 60),
        ) {
            let mut broker = Broker { outstanding: (1..=60).collect(), ..Broker::default() };
            let mut book = AckBook::default();
            let mut rest = &order[..];
            let mut settled = 0;
            for cut in cuts {
                let (batch, later) = rest.split_at(cut.min(rest.len()));
                rest = later;
                settled += batch.len();
                let batch: Vec<_> = batch
                    .iter()
                    .map(|&tag| Settlement { tag, done: fates[usize::try_from(tag).unwrap() - 1] })
                    .collect();
                for frame in book.settle(&batch) {
                    broker.take(frame);
                }
                // All that was settled, and nothing else.
                prop_assert_eq!(broker.fate.len(), settled);
            }
            for tag in 1..=60_u64 {
                prop_assert_eq!(broker.fate[&tag], fates[usize::try_from(tag).unwrap() - 1]);
            }
        }
    }
}
