//! Futures that wait for confirms, polled by the one task that owns the channel.
//!
//! A set like `FuturesUnordered`, with one promise more: when [`Confirms::poll_done`] has given
//! what is done, every confirm that lapin resolved earlier has been given too. The [`Ledger`]
//! needs that, since lapin may hand a returned message to another confirm of the same moment.
//!
//! [`Ledger`]: super::ledger::Ledger

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use futures::task::AtomicWaker;

/// Futures by number, and which of them want to be polled.
pub(super) struct Confirms<F: Future> {
    waiting: HashMap<u64, (F, Waker)>,
    /// Done at the first poll: the channel was closed already.
    done_at_once: Vec<(u64, F::Output)>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken {
    numbers: Mutex<Vec<u64>>,
    owner: AtomicWaker,
}

struct WakeOne {
    number: u64,
    woken: Arc<Woken>,
}

impl Wake for WakeOne {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut numbers = lock(&self.woken.numbers);
        numbers.push(self.number);
        drop(numbers);
        self.woken.owner.wake();
    }
}

fn lock(numbers: &Mutex<Vec<u64>>) -> std::sync::MutexGuard<'_, Vec<u64>> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<F: Future + Unpin> Confirms<F> {
    pub(super) fn new() -> Self {
        Self {
            waiting: HashMap::new(),
            done_at_once: Vec::new(),
            woken: Arc::default(),
        }
    }

    /// Adds a future and polls it once, at once: lapin gives out the delivery tag and queues the
    /// frames in this first poll, so the order of calls is the order of tags and frames.
    pub(super) fn start(&mut self, number: u64, mut future: F) {
        let woken = Arc::clone(&self.woken);
        let waker = Waker::from(Arc::new(WakeOne { number, woken }));
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => drop(self.waiting.insert(number, (future, waker))),
            Poll::Ready(output) => self.done_at_once.push((number, output)),
        }
    }

    /// Everything that is done, at least one.
    pub(super) fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<Vec<(u64, F::Output)>> {
        self.woken.owner.register(context.waker());
        let mut done = std::mem::take(&mut self.done_at_once);
        loop {
            // Again until nobody was woken: a confirm that lapin resolved before one that is in
            // `done` has put its number here by now.
            let numbers = std::mem::take(&mut *lock(&self.woken.numbers));
            if numbers.is_empty() {
                break;
            }
            for number in numbers {
                let Some((future, waker)) = self.waiting.get_mut(&number) else {
                    continue; // Woken twice, and done the first time.
                };
                let mut own = Context::from_waker(waker);
                if let Poll::Ready(output) = Pin::new(future).poll(&mut own) {
                    self.waiting.remove(&number);
                    done.push((number, output));
                }
            }
        }
        if done.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(done)
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::{pending, poll_fn, ready};
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn gives_all_that_was_resolved_before_what_it_gives() {
        let mut confirms = Confirms::new();
        let mut senders = Vec::new();
        for number in 0..3 {
            let (sender, receiver) = oneshot::channel::<&str>();
            senders.push(sender);
            confirms.start(number, receiver);
        }
        let last = senders.pop().unwrap();
        for sender in senders.into_iter().rev() {
            sender.send("early").unwrap();
        }
        let done = poll_fn(|context| confirms.poll_done(context)).await;
        let numbers: Vec<_> = done.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 0]);
        tokio::join!(async { last.send("late").unwrap() }, async {
            let done = poll_fn(|context| confirms.poll_done(context)).await;
            assert_eq!(done, [(2, Ok("late"))]);
        });
        assert!(confirms.waiting.is_empty());
    }

    #[tokio::test]
    async fn what_is_done_at_once_is_given_too() {
        let mut confirms = Confirms::new();
        confirms.start(7, ready(()));
        let done = poll_fn(|context| confirms.poll_done(context)).await;
        assert_eq!(done, [(7, ())]);
        let mut never = Confirms::new();
        never.start(1, pending::<()>());
        let mut context = Context::from_waker(Waker::noop());
        assert!(never.poll_done(&mut context).is_pending());
    }
}
