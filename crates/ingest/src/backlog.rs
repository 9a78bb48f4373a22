//! Admission control: how much waits for fan-out, looked at every second. With too much waiting,
//! new events are refused before the broker runs out of memory or disk.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use signpost_broker::{Broker, topology::EVENTS};
use tokio_util::sync::CancellationToken;

use crate::error::{ApiError, ErrorCode};

const EVERY: Duration = Duration::from_secs(1);

/// What waits in the queue of events.
#[derive(Debug)]
pub struct Backlog {
    limit: u64,
    waiting: AtomicU64,
}

impl Backlog {
    /// Nothing waits until the broker says so.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            waiting: AtomicU64::new(0),
        }
    }

    /// Whether another event may come.
    ///
    /// # Errors
    /// `overloaded`.
    pub fn check(&self) -> Result<(), ApiError> {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if waiting < self.limit {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::Overloaded,
            format!("{waiting} events are waiting already; no more are taken until some are done."),
        )
        .retry_after(5))
    }

    /// Notes how many events wait.
    pub fn set(&self, waiting: u64) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// Looks at the queue until the process stops. While the broker does not answer, publishing
    /// fails by itself and the figure is of no matter.
    pub async fn watch(&self, broker: &Broker, token: CancellationToken) {
        loop {
            // Cancel-safe: a look that is dropped is made again.
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            match broker.depth(EVENTS).await {
                Ok(depth) => self.set(depth.map_or(0, |depth| u64::from(depth.ready))),
                Err(error) => tracing::debug!(%error, "cannot see how many events wait"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_from_the_limit_on() {
        let backlog = Backlog::new(2);
        assert!(backlog.check().is_ok());
        backlog.set(2);
        assert_eq!(backlog.check().unwrap_err().code(), ErrorCode::Overloaded);
    }
}
