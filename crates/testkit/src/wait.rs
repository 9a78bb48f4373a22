//! Waiting for something to become true, with a deadline, instead of sleeping.

use std::fmt::Debug;
use std::time::Duration;

use signpost_runtime::sabotage;
use tokio::time::{Instant, sleep};

/// Calls `look` again and again until it gives `Ok`, and returns that value. `Err` is what was
/// seen instead, shown when `patience` runs out.
///
/// ```no_run
/// # async fn story() {
/// # use std::time::Duration; use signpost_testkit::wait_until;
/// # async fn count() -> u32 { 3 }
/// wait_until("three rows are there", Duration::from_secs(5), async || match count().await {
///     3 => Ok(()),
///     other => Err(other),
/// })
/// .await;
/// # }
/// ```
///
/// # Panics
/// It has not become true in time; the message holds `what` and what was seen last.
pub async fn wait_until<T, E: Debug>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let patience = sabotage::patience(patience);
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        let seen = match look().await {
            Ok(value) => return value,
            Err(seen) => seen,
        };
        assert!(
            started.elapsed() < patience,
            "waited {patience:?} in vain until {what}; last seen: {seen:?}"
        );
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
