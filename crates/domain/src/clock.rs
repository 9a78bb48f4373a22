//! Where the services get the time from. Pure code takes a time as a parameter instead.

use chrono::{DateTime, Utc};

/// A source of wall-clock time; tests bring their own.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current time in UTC.
    fn now(&self) -> DateTime<Utc>;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
