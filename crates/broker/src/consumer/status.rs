//! How a consumer is, for readiness and for the watch over stalled ones.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::{sync::watch, time::Instant};

use super::streams::Streams;

/// A handle to a consumer's state; clones share it.
#[derive(Debug, Clone)]
pub struct ConsumerStatus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: &'static str,
    started: Instant,
    alive: watch::Sender<Result<(), String>>,
    delivered: AtomicU64,
    delivered_by_more: AtomicU64,
    unsettled: AtomicUsize,
    window: AtomicUsize,
    more: AtomicUsize,
    /// Milliseconds after `started`, plus one; 0 for never.
    last_delivery: AtomicU64,
}

/// A consumer's state at one moment.
#[derive(Debug, Clone)]
pub struct ConsumerView {
    /// The queue.
    pub queue: &'static str,
    /// Whether the broker knows it as a consumer; if not, why.
    pub alive: Result<(), String>,
    /// Messages received since the start.
    pub delivered: u64,
    /// Messages of the present channel that came by the second of its two consumers.
    pub delivered_by_more: u64,
    /// Messages of the present channel that are not settled yet.
    pub unsettled: usize,
    /// Messages that may be unsettled at present: fewer than the prefetch while they are large.
    pub window: usize,
    /// The second consumer's part of them.
    pub more: usize,
    /// When the last message came.
    pub last_delivery: Option<Instant>,
}

impl ConsumerStatus {
    pub(super) fn new(queue: &'static str) -> Self {
        let shared = Shared {
            queue,
            started: Instant::now(),
            alive: watch::Sender::new(Err("not connected yet".to_owned())),
            delivered: AtomicU64::new(0),
            delivered_by_more: AtomicU64::new(0),
            unsettled: AtomicUsize::new(0),
            window: AtomicUsize::new(0),
            more: AtomicUsize::new(0),
            last_delivery: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The state now.
    pub fn view(&self) -> ConsumerView {
        let shared = &self.shared;
        let last = shared.last_delivery.load(Ordering::Relaxed);
        let after = |millis| shared.started + std::time::Duration::from_millis(millis);
        ConsumerView {
            queue: shared.queue,
            alive: shared.alive.borrow().clone(),
            delivered: shared.delivered.load(Ordering::Relaxed),
            delivered_by_more: shared.delivered_by_more.load(Ordering::Relaxed),
            unsettled: shared.unsettled.load(Ordering::Relaxed),
            window: shared.window.load(Ordering::Relaxed),
            more: shared.more.load(Ordering::Relaxed),
            last_delivery: last.checked_sub(1).map(after),
        }
    }

    /// For `/readyz`: whether the broker knows it as a consumer.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        let alive = self.shared.alive.borrow().clone();
        alive.map_err(|reason| format!("queue {}: {reason}", self.shared.queue))
    }

    pub(super) fn set_alive(&self, streams: &Streams) {
        self.shared.unsettled.store(0, Ordering::Relaxed);
        self.note_streams(streams);
        self.set(Ok(()));
    }

    pub(super) fn note_streams(&self, streams: &Streams) {
        let (shared, order) = (&self.shared, Ordering::Relaxed);
        shared.window.store(streams.size(), order);
        shared.more.store(streams.more(), order);
        shared
            .delivered_by_more
            .store(streams.delivered_by_more(), order);
    }

    pub(super) fn set_down(&self, reason: &str) {
        self.set(Err(reason.to_owned()));
    }

    fn set(&self, alive: Result<(), String>) {
        self.shared.alive.send_modify(|state| *state = alive);
    }

    pub(super) fn note_delivery(&self) {
        let millis = u64::try_from(self.shared.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let shared = &self.shared;
        shared
            .last_delivery
            .store(millis.saturating_add(1), Ordering::Relaxed);
        shared.delivered.fetch_add(1, Ordering::Relaxed);
        shared.unsettled.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_settled(&self, count: usize) {
        let less = |before: usize| Some(before.saturating_sub(count));
        let order = Ordering::Relaxed;
        // The closure always gives a value, so the update cannot fail.
        let _updated = self.shared.unsettled.fetch_update(order, order, less);
    }
}
