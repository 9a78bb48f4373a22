//! What one channel has published and not settled yet, and who is to hear what.
//!
//! Pure; kept by [`super::lane`]. Two things make it more than a map:
//!
//! * An unroutable message is confirmed like any other; only the message that the broker returned
//!   before tells. lapin hangs that on whichever confirm it resolves next, so it is matched here
//!   by where it went: exchange, routing key and message id.
//! * So an ack may come before the word that its message was returned. The returns wait in lapin
//!   in order, and each confirm takes one along: once everything that was in flight with a return
//!   is confirmed, every return of that time has been seen. Acks are held back until then, but
//!   only in a moment with returns.

use std::collections::BTreeMap;

use super::PublishError;

/// Where a message goes and which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) message_id: Option<String>,
}

/// What the broker said to one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Acked,
    Nacked,
    /// The channel ended before an answer.
    Lost,
}

/// A confirm as lapin gives it, with a returned message that need not be its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Confirmed {
    pub(super) number: u64,
    pub(super) answer: Answer,
    pub(super) returned: Option<Route>,
}

/// Messages in flight; `W` is who waits for the answer.
#[derive(Debug)]
pub(super) struct Ledger<W> {
    in_flight: BTreeMap<u64, Entry<W>>,
    /// Acked, but it may still turn out that they were returned.
    held: Vec<Held<W>>,
    next: u64,
}

#[derive(Debug)]
struct Entry<W> {
    route: Route,
    waiter: W,
    is_returned: bool,
}

#[derive(Debug)]
struct Held<W> {
    entry: Entry<W>,
    /// Until all messages with lower numbers are confirmed.
    until: u64,
}

type Settled<W> = Vec<(W, Result<(), PublishError>)>;

impl<W> Ledger<W> {
    pub(super) fn new() -> Self {
        Self {
            in_flight: BTreeMap::new(),
            held: Vec::new(),
            next: 0,
        }
    }

    /// Notes a message that is being published; gives its number.
    pub(super) fn add(&mut self, route: Route, waiter: W) -> u64 {
        let number = self.next;
        self.next += 1;
        let entry = Entry {
            route,
            waiter,
            is_returned: false,
        };
        self.in_flight.insert(number, entry);
        number
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty() && self.held.is_empty()
    }

    /// Who has waited longest.
    pub(super) fn oldest(&self) -> Option<&W> {
        self.in_flight.values().next().map(|entry| &entry.waiter)
    }

    /// Takes confirms and gives what is certain now.
    pub(super) fn settle(&mut self, confirmed: Vec<Confirmed>) -> Settled<W> {
        let mut settled = Vec::new();
        let mut acked = Vec::new();
        let mut returned = Vec::new();
        for Confirmed {
            number,
            answer,
            returned: route,
        } in confirmed
        {
            returned.extend(route);
            let Some(entry) = self.in_flight.remove(&number) else {
                continue; // Each number is confirmed once.
            };
            match answer {
                Answer::Acked => acked.push(entry),
                Answer::Nacked => settled.push((entry.waiter, Err(PublishError::Nacked))),
                Answer::Lost => settled.push((entry.waiter, Err(PublishError::Unavailable))),
            }
        }
        for route in &returned {
            let entries = self.in_flight.values_mut().chain(&mut acked);
            let entries = entries.chain(self.held.iter_mut().map(|held| &mut held.entry));
            for entry in entries.filter(|entry| entry.route == *route) {
                entry.is_returned = true;
            }
        }
        // Even without a return in this round they wait for those that are held already: nothing
        // is lost by that, and it needs no proof.
        let must_hold = !returned.is_empty() || !self.held.is_empty();
        for entry in acked {
            if entry.is_returned {
                settled.push((entry.waiter, Err(PublishError::Unroutable)));
            } else if must_hold {
                let until = self.next;
                self.held.push(Held { entry, until });
            } else {
                settled.push((entry.waiter, Ok(())));
            }
        }
        self.release(&mut settled);
        settled
    }

    fn release(&mut self, settled: &mut Settled<W>) {
        let lowest = self.in_flight.keys().next().copied().unwrap_or(u64::MAX);
        for held in std::mem::take(&mut self.held) {
            if held.entry.is_returned {
                settled.push((held.entry.waiter, Err(PublishError::Unroutable)));
            } else if lowest >= held.until {
                settled.push((held.entry.waiter, Ok(())));
            } else {
                self.held.push(held);
            }
        }
    }

    /// The channel is gone: what became of the rest is not known. What is held was confirmed, but
    /// whether a queue took it is not known either.
    pub(super) fn give_up(self) -> impl Iterator<Item = W> {
        let held = self.held.into_iter().map(|held| held.entry.waiter);
        let in_flight = self.in_flight.into_values().map(|entry| entry.waiter);
        in_flight.chain(held)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    fn route(id: u64, routable: bool) -> Route {
        Route {
            exchange: String::new(),
            routing_key: if routable { "here" } else { "nowhere" }.to_owned(),
            message_id: Some(id.to_string()),
        }
    }

    fn acked(number: u64, returned: Option<Route>) -> Confirmed {
        Confirmed {
            number,
            answer: Answer::Acked,
            returned,
        }
    }

    #[test]
    fn acks_and_nacks_go_to_their_own() {
        let mut ledger = Ledger::new();
        let (a, b) = (
            ledger.add(route(0, true), "a"),
            ledger.add(route(1, true), "b"),
        );
        let nacked = Confirmed {
            answer: Answer::Nacked,
            ..acked(b, None)
        };
        let settled = ledger.settle(vec![acked(a, None), nacked]);
        assert_eq!(settled, [("b", Err(PublishError::Nacked)), ("a", Ok(()))]);
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_return_that_hangs_on_another_confirm_finds_its_message() {
        let mut ledger = Ledger::new();
        let (a, b) = (
            ledger.add(route(0, true), "a"),
            ledger.add(route(1, false), "b"),
        );
        // b's return came with a's ack, and b is not acked yet.
        assert_eq!(ledger.settle(vec![acked(a, Some(route(1, false)))]), []);
        let mut settled = ledger.settle(vec![acked(b, None)]);
        settled.sort_by_key(|(waiter, _)| *waiter);
        assert_eq!(
            settled,
            [("a", Ok(())), ("b", Err(PublishError::Unroutable))]
        );
    }

    #[test]
    fn what_is_left_when_the_channel_ends_is_given_up() {
        let mut ledger = Ledger::new();
        let a = ledger.add(route(0, true), "a");
        ledger.add(route(1, false), "b");
        assert_eq!(ledger.settle(vec![acked(a, Some(route(1, false)))]), []);
        let mut waiters: Vec<_> = ledger.give_up().collect();
        waiters.sort_unstable();
        assert_eq!(waiters, ["a", "b"]);
    }

    /// What lapin does: returns queue up, and each confirm takes the first along. The broker sends
    /// a message's return before its ack, and acks in any order and grouping.
    struct Lapin {
        returns: VecDeque<Route>,
    }

    proptest! {
        #[test]
        fn each_message_hears_the_truth_whatever_confirm_its_return_hangs_on(
            routable in proptest::collection::vec(any::<bool>(), 1..40),
            order in any::<prop::sample::Index>().prop_map(|index| index.index(1000)),
            rounds in proptest::collection::vec(1_usize..6, 40),
            early in proptest::collection::vec(any::<bool>(), 40),
        ) {
            let mut ledger = Ledger::new();
            let mut lapin = Lapin { returns: VecDeque::new() };
            let mut told = HashMap::new();
            let mut open: Vec<u64> = Vec::new();
            let mut sent_return = vec![false; routable.len()];
            let mut to_send = (0..routable.len()).collect::<VecDeque<_>>();
            let mut seed = order;
            for (round, count) in rounds.iter().cycle().enumerate().take(400) {
                // Publish a few.
                for _ in 0..*count {
                    if let Some(index) = to_send.pop_front() {
                        let id = u64::try_from(index).unwrap();
                        open.push(ledger.add(route(id, routable[index]), index));
                    }
                }
                // Some returns arrive early.
                for &number in &open {
                    let index = usize::try_from(number).unwrap();
                    if !routable[index] && !sent_return[index] && early[(index + round) % 40] {
                        sent_return[index] = true;
                        lapin.returns.push_back(route(number, false));
                    }
                }
                // Some are acked, in an order of lapin's own.
                let mut batch = Vec::new();
                for _ in 0..(*count).min(open.len()) {
                    seed = seed.wrapping_mul(31).wrapping_add(17);
                    let number = open.swap_remove(seed % open.len());
                    let index = usize::try_from(number).unwrap();
                    if !routable[index] && !sent_return[index] {
                        sent_return[index] = true;
                        lapin.returns.push_back(route(number, false));
                    }
                    batch.push(number);
                }
                batch.reverse();
                let confirmed = batch.into_iter().map(|n| acked(n, lapin.returns.pop_front()));
                for (index, result) in ledger.settle(confirmed.collect()) {
                    prop_assert!(told.insert(index, result).is_none());
                }
            }
            prop_assert!(open.is_empty() && to_send.is_empty());
            prop_assert!(ledger.is_empty());
            for (index, routable) in routable.iter().enumerate() {
                let expected = if *routable { Ok(()) } else { Err(PublishError::Unroutable) };
                prop_assert_eq!(told[&index], expected);
            }
        }
    }
}
