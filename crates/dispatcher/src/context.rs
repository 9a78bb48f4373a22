//! What every part of the dispatcher works with: built once at start, shared by all tasks.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use signpost_broker::Publisher;
use signpost_domain::{Clock, Tiers};
use signpost_egress::Egress;
use signpost_runtime::Lifecycle;
use signpost_store::Store;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    claims::Claims, directory::Directory, gate::Gates, health::Health, metrics::Metrics,
    probe::Newest, recorder::Recorder,
};

/// The dispatcher's handles.
#[derive(Debug)]
pub struct Context {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The ledger.
    pub store: Store,
    /// Publishes with confirms.
    pub publisher: Publisher,
    /// The only way to a customer's URL.
    pub egress: Egress,
    /// The subscriptions.
    pub directory: Directory,
    /// May an attempt start?
    pub gates: Gates,
    /// Claims attempts of deliveries that come from the queue.
    pub claims: Claims,
    /// Writes what attempts gave.
    pub recorder: Recorder,
    /// Which endpoints fail.
    pub health: Health,
    /// The newest probe that has arrived.
    pub newest_probe: Arc<Newest>,
    /// Counters.
    pub metrics: Metrics,
    /// The delay queues.
    pub tiers: Tiers,
    /// The process's tasks.
    pub lifecycle: Lifecycle,
    /// The tasks of deliveries and events under way.
    pub work: TaskTracker,
    /// Cancelled during a stop, when all that was under way is recorded and published.
    pub all_settled: CancellationToken,
    /// Largest event data in bytes.
    pub max_event_bytes: usize,
    /// Whether this replica has the reconciler's lock.
    pub leads: AtomicBool,
}

impl Context {
    /// Whether this replica does what only one should do at a time. Two may for a moment believe
    /// so; what they do allows it.
    pub(crate) fn is_leader(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    /// Starts a task that belongs to a delivery or an event; a stop waits for all of these before
    /// the records are flushed. A panic in one stops the process: what it had comes back from the
    /// broker.
    pub(crate) fn work<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.work.spawn(self.lifecycle.guard(name, task));
    }

    /// Waits, during a stop, until all that was under way is recorded and published.
    pub(crate) async fn settled(&self) {
        self.all_settled.cancelled().await;
    }
}
