//! What a person sees while the test runs, on standard error.

use std::{
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::schedule::Fault;

/// Writes lines with the time since the load began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    began: Arc<Mutex<Option<Instant>>>,
}

impl Progress {
    /// The load begins now.
    pub(crate) fn begin(&self, at: Instant) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// A line.
    pub(crate) fn say(&self, line: &str) {
        let began = *self.began.lock().unwrap_or_else(PoisonError::into_inner);
        let at = began
            .map_or(Duration::ZERO, |began| began.elapsed())
            .as_secs();
        // Nobody reads it any more: the report matters, not this.
        drop(writeln!(
            std::io::stderr(),
            "{:>3}:{:02}  {line}",
            at / 60,
            at % 60
        ));
    }

    /// A fault begins.
    pub(crate) fn fault(&self, fault: &Fault) {
        self.say(&format!("× {fault}"));
    }
}
