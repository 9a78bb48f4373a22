//! A small allowance per key: a few at once, then one per interval. For test sends, so that they
//! cannot be used to flood somebody.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Keys that are remembered; with more, those that are back at their full allowance are dropped.
const MAX_KEYS: usize = 10_000;

/// Allowances by key.
#[derive(Debug)]
pub struct Buckets<K> {
    interval: Duration,
    burst: u32,
    /// When the allowance will be full again.
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// `burst` at once, and one more per `interval`.
    pub fn new(interval: Duration, burst: u32) -> Self {
        Self {
            interval,
            burst,
            full_at: Mutex::default(),
        }
    }

    /// Takes one, or says how long to wait.
    ///
    /// # Errors
    /// The wait.
    pub fn take(&self, key: K) -> Result<(), Duration> {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= MAX_KEYS {
            full_at.retain(|_, at| *at > now);
        }
        let at = full_at.entry(key).or_insert(now);
        let next = (*at).max(now) + self.interval;
        let latest = now + self.interval * self.burst;
        if next > latest {
            return Err(next - latest);
        }
        *at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn allows_a_burst_and_then_one_per_interval() {
        let second = Duration::from_secs(1);
        let buckets = Buckets::new(second, 2);
        assert_eq!(buckets.take("a"), Ok(()));
        assert_eq!(buckets.take("a"), Ok(()));
        assert_eq!(buckets.take("a"), Err(second));
        assert_eq!(buckets.take("b"), Ok(()));
        tokio::time::advance(second).await;
        assert_eq!(buckets.take("a"), Ok(()));
        assert_eq!(buckets.take("a"), Err(second));
    }
}
