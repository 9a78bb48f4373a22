//! The life of a process: every task starts here, and stops when asked.
//!
//! Both services own one `Lifecycle`. Tasks are spawned by name; a task that panics stops the
//! process, since a half-working service is worse than one that is started again. A signal (or
//! [`Lifecycle::stop`]) cancels the token; tasks then finish what they have begun, up to the grace
//! time. A second signal ends the wait.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// All tasks ended after a stop that was asked for.
    Cleanly,
    /// The grace time was over, or a second signal came, before all tasks had ended.
    Forced,
    /// A task panicked.
    Panicked,
}

/// A handle to the process's tasks; clones share one life.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    token: CancellationToken,
    tracker: TaskTracker,
    panicked: Arc<AtomicBool>,
}

impl Lifecycle {
    /// A life with no tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the process is to stop.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The tracker that [`Self::wait`] waits for, for tasks that another crate spawns.
    pub fn tracker(&self) -> TaskTracker {
        self.tracker.clone()
    }

    /// Whether a stop has been asked for.
    pub fn is_stopping(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Starts a task. It must end by itself once the token is cancelled. Its panic stops the
    /// process.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(self.guard(name, task));
    }

    /// Makes a panic of `task` stop the process, for tasks that another tracker waits for.
    pub fn guard<F>(&self, name: &'static str, task: F) -> impl Future<Output = ()> + Send + 'static
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (token, panicked) = (self.token.clone(), Arc::clone(&self.panicked));
        // No async block: it would hold the task twice, as what it captured and as what it awaits.
        // The task owns what it captured, so nobody sees state that a panic left half-changed.
        let task = std::panic::AssertUnwindSafe(task).catch_unwind();
        task.map(move |ended| {
            if ended.is_err() {
                tracing::error!(task = name, "task panicked; stopping the process");
                panicked.store(true, Ordering::SeqCst);
                token.cancel();
            }
        })
    }

    /// Asks all tasks to stop.
    pub fn stop(&self) {
        self.token.cancel();
    }

    /// Waits until a stop is asked for, by SIGTERM, SIGINT or [`Self::stop`], and then for all
    /// tasks to end, at most for `grace`.
    pub async fn wait(&self, mut signals: Signals, grace: Duration) -> Stopped {
        tokio::select! {
            // Cancel-safe: both only wait for something that stays true.
            () = self.token.cancelled() => {}
            name = signals.recv() => tracing::info!(signal = name, "stopping"),
        }
        self.token.cancel();
        self.tracker.close();
        let in_time = tokio::select! {
            result = tokio::time::timeout(grace, self.tracker.wait()) => result.is_ok(),
            name = signals.recv() => {
                tracing::warn!(signal = name, "second signal: stopping at once");
                false
            }
        };
        if self.panicked.load(Ordering::SeqCst) {
            Stopped::Panicked
        } else if in_time {
            Stopped::Cleanly
        } else {
            Stopped::Forced
        }
    }
}

/// The signals that ask a process to stop.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes over SIGTERM and SIGINT.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            // Cancel-safe: a signal that was not received stays pending.
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_tasks_to_finish_what_they_began() {
        let life = Lifecycle::new();
        let done = Arc::new(AtomicBool::new(false));
        let (token, flag) = (life.token(), Arc::clone(&done));
        life.spawn("worker", async move {
            token.cancelled().await;
            tokio::task::yield_now().await;
            flag.store(true, Ordering::SeqCst);
        });
        life.stop();
        let signals = Signals::install().unwrap();
        assert_eq!(
            life.wait(signals, Duration::from_secs(5)).await,
            Stopped::Cleanly
        );
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_is_left_behind_after_the_grace_time() {
        let life = Lifecycle::new();
        life.spawn("stuck", std::future::pending());
        life.stop();
        let signals = Signals::install().unwrap();
        assert_eq!(
            life.wait(signals, Duration::from_millis(5)).await,
            Stopped::Forced
        );
    }

    #[tokio::test]
    async fn a_panic_stops_the_process() {
        let life = Lifecycle::new();
        life.spawn("broken", async { panic!("on purpose") });
        let signals = Signals::install().unwrap();
        assert_eq!(
            life.wait(signals, Duration::from_secs(5)).await,
            Stopped::Panicked
        );
    }
}
