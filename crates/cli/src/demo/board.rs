//! What was sent and what has come: shared by the receiver's answers and the command.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use signpost_testkit::Received;
use signpost_wire::DEFAULT_TOLERANCE;

use super::samples::Sample;
use crate::commands::text;
use crate::receive::{Checker, Verdict};

/// The way in that an event took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Http,
    Amqp,
}

impl Via {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Amqp => "AMQP",
        }
    }
}

/// One endpoint with its one event.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) sample: Sample,
    pub(super) path: String,
    pub(super) via: Via,
    /// Its receiver answers 500 twice.
    pub(super) is_flaky: bool,
    pub(super) event_id: String,
    /// Requests that came.
    pub(super) attempts: u32,
    /// The verdict on the last one.
    pub(super) verdict: Option<Verdict>,
    /// From publishing to the attempt that was answered 200.
    pub(super) latency: Option<Duration>,
    /// Attempts by the ledger's count, once it says `succeeded`.
    pub(super) ledger_attempts: Option<u64>,
    checker: Checker,
    began: Option<Instant>,
}

impl Part {
    pub(super) fn new(
        sample: Sample,
        path: String,
        via: Via,
        is_flaky: bool,
        checker: Checker,
    ) -> Self {
        Self {
            sample,
            path,
            via,
            is_flaky,
            checker,
            event_id: String::new(),
            attempts: 0,
            verdict: None,
            latency: None,
            ledger_attempts: None,
            began: None,
        }
    }

    /// Answered 200, and verified.
    pub(super) fn has_arrived(&self) -> bool {
        self.latency.is_some() && self.is_verified()
    }

    pub(super) fn is_verified(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Verified(_)))
    }
}

/// All parts.
#[derive(Debug)]
pub(super) struct Board(Mutex<Vec<Part>>);

impl Board {
    pub(super) fn new(parts: Vec<Part>) -> Self {
        Self(Mutex::new(parts))
    }

    pub(super) fn len(&self) -> usize {
        self.parts().len()
    }

    /// A copy of all parts as they are now.
    pub(super) fn snapshot(&self) -> Vec<Part> {
        self.parts().clone()
    }

    /// Notes that an event is being published now.
    pub(super) fn begin(&self, index: usize, event_id: &str) -> (Sample, Via) {
        let part = &mut self.parts()[index];
        event_id.clone_into(&mut part.event_id);
        part.began = Some(Instant::now());
        (part.sample, part.via)
    }

    /// Notes a request and gives the status to answer: 401 to what does not verify, 500 to the
    /// first two where a failing receiver is played.
    pub(super) fn note(&self, request: &Received) -> u16 {
        let mut parts = self.parts();
        let Some(part) = parts.iter_mut().find(|part| part.path == request.path) else {
            return 404;
        };
        part.attempts += 1;
        let verdict = part.checker.check(
            &request.headers,
            &request.body,
            request.wall_time,
            Some(DEFAULT_TOLERANCE),
        );
        part.verdict = Some(verdict);
        if !part.is_verified() {
            return 401;
        }
        if part.is_flaky && part.attempts <= 2 {
            return 500;
        }
        if part.latency.is_none() {
            part.latency = part.began.map(|began| request.received_at - began);
        }
        200
    }

    /// How many have arrived.
    pub(super) fn arrived(&self) -> usize {
        self.parts()
            .iter()
            .filter(|part| part.has_arrived())
            .count()
    }

    /// Those that the ledger has not been seen to have as succeeded.
    pub(super) fn without_ledger(&self) -> Vec<(usize, String)> {
        let parts = self.parts();
        let waiting = parts
            .iter()
            .enumerate()
            .filter(|(_, part)| part.ledger_attempts.is_none());
        waiting
            .map(|(index, part)| (index, part.event_id.clone()))
            .collect()
    }

    /// Notes what the ledger says, if it says `succeeded`.
    pub(super) fn note_ledger(&self, index: usize, delivery: &Value) {
        if text(delivery, "/status") == "succeeded" {
            self.parts()[index].ledger_attempts = delivery["attempt_count"].as_u64();
        }
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
