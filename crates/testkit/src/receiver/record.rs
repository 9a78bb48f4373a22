//! The requests that have come, and waiting for more.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use tokio::sync::watch;

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its place among all requests to this receiver, from 1.
    pub number: u64,
    /// The connection it came over, from 1; the same number means the connection was kept open.
    pub connection: u64,
    /// `POST`, usually.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// What stands after the `?`, if anything.
    pub query: Option<String>,
    /// The headers; names are in lower case.
    pub headers: HeaderMap,
    /// The body's bytes, unchanged.
    pub body: Bytes,
    /// When its head had been read, by a clock that never jumps.
    pub received_at: Instant,
    /// The same by the wall clock.
    pub wall_time: DateTime<Utc>,
}

impl Received {
    /// A header's first value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
    }
}

#[derive(Debug)]
pub(super) struct Log {
    kept: Mutex<VecDeque<Received>>,
    keep: usize,
    count: watch::Sender<u64>,
}

impl Log {
    pub(super) fn new(keep: usize) -> Self {
        Self {
            kept: Mutex::default(),
            keep,
            count: watch::Sender::new(0),
        }
    }

    /// Gives the request its number and remembers it.
    pub(super) fn add(&self, mut request: Received) -> Received {
        let mut kept = self.kept();
        self.count.send_modify(|count| {
            *count += 1;
            request.number = *count;
            if self.keep > 0 {
                if kept.len() == self.keep {
                    kept.pop_front();
                }
                kept.push_back(request.clone());
            }
        });
        request
    }

    pub(super) fn all(&self) -> Vec<Received> {
        self.kept().iter().cloned().collect()
    }

    pub(super) fn count(&self) -> u64 {
        *self.count.borrow()
    }

    pub(super) fn forget(&self) {
        self.kept().clear();
    }

    pub(super) async fn wait_for(
        &self,
        count: usize,
        patience: Duration,
        wanted: impl Fn(&Received) -> bool,
    ) -> Vec<Received> {
        let patience = signpost_runtime::sabotage::patience(patience);
        let mut changes = self.count.subscribe();
        let enough = async {
            loop {
                changes.mark_unchanged();
                let found: Vec<_> = self.all().into_iter().filter(&wanted).collect();
                if found.len() >= count {
                    return found;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await; // Not while `self` holds the sender.
                }
            }
        };
        let Ok(found) = tokio::time::timeout(patience, enough).await else {
            panic!(
                "waited {patience:?} in vain for {count} requests; {}",
                self.summary()
            )
        };
        found
    }

    fn summary(&self) -> String {
        let kept = self.kept();
        let lines = kept.iter().rev().take(20).rev().map(|request| {
            let body = String::from_utf8_lossy(&request.body);
            let body: String = body.chars().take(120).collect();
            format!("\n  {} {} {body}", request.method, request.path)
        });
        format!("{} have come{}", kept.len(), lines.collect::<String>())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
