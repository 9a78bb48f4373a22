//! The gate: whether an attempt at an endpoint may start now, soon, or later.
//!
//! One gate per endpoint holds its breaker, its in-flight places, its rate limit and a short
//! waiting line. What may not start soon is deferred through a tier: it uses up no attempt and
//! keeps no place in the prefetch window. So a receiver that hangs or fails costs its own
//! deliveries time, and nobody else's. The gate knows nothing of messages and does no I/O.

mod line;
mod rate;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use signpost_domain::{Admission, Breaker, BreakerConfig, EndpointId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use line::Line;
use rate::RateLimit;

/// Limits of one dispatcher.
#[derive(Debug, Clone, Copy)]
pub struct GateConfig {
    /// Most attempts at once, over all endpoints.
    pub max_in_flight: usize,
    /// Most attempts at once per endpoint.
    pub endpoint_in_flight: usize,
    /// When breakers open, and for how long.
    pub breaker: BreakerConfig,
}

/// An endpoint that usually needs longer than this is slow, and shares a part of all places with
/// the other slow ones.
const SLOW: Duration = Duration::from_secs(1);
/// Longest expected wait in the process; what would wait longer is deferred.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// Longest wait there, however long it was expected to be. The ledger has given the delivery a lease
/// for one attempt; one that waits on while the receiver hangs would outlive it, and be made twice.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Most deliveries that wait in the process for one endpoint.
const MAX_WAITING: usize = 1_000;
/// Deferred deliveries of an endpoint without a rate limit come back at least this often, so that
/// the backlog of one that was slow is not kept waiting when it is quick again.
const WIDEST_SPACING: Duration = Duration::from_millis(100);
/// Endpoints remembered before idle ones are forgotten.
const SWEEP_ABOVE: usize = 10_000;

/// All gates of one dispatcher.
#[derive(Debug)]
pub struct Gates {
    config: GateConfig,
    places: Arc<Semaphore>,
    slow_places: Arc<Semaphore>,
    by_endpoint: Mutex<HashMap<EndpointId, Arc<Gate>>>,
}

/// One endpoint's gate.
#[derive(Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    in_flight_limit: usize,
    state: Mutex<GateState>,
}

#[derive(Debug)]
struct GateState {
    breaker: Breaker,
    rate: Option<RateLimit>,
    line: Line,
    /// Moving average of how long an attempt takes.
    usual: Duration,
    waiting: usize,
    /// Set by a receiver that asked for a pause (429 or 503 with `Retry-After`).
    not_before: Option<Instant>,
}

/// What the gate says.
#[derive(Debug)]
pub enum Verdict {
    /// Start now.
    Start(Place),
    /// A place is expected within a moment: wait for it with [`Gates::wait`].
    Wait(Waiting),
    /// Come back after this time.
    Defer(Duration),
}

/// Leave for one attempt. Give it back with [`Place::finish`]; dropping it gives it back without
/// a verdict on the receiver.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    started: Instant,
    finished: bool,
    _endpoint: OwnedSemaphorePermit,
    _process: OwnedSemaphorePermit,
    _slow: Option<OwnedSemaphorePermit>,
}

/// A place in the short line in front of one endpoint. Dropping it leaves the line.
#[derive(Debug)]
pub struct Waiting {
    gate: Arc<Gate>,
    is_served: bool,
}

/// What an attempt says about its receiver's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answered.
    Good,
    /// It did not answer, or with a server error.
    Bad,
}

impl Gates {
    /// Gates with nobody before them.
    pub fn new(config: GateConfig) -> Self {
        Self {
            config,
            places: Arc::new(Semaphore::new(config.max_in_flight)),
            slow_places: Arc::new(Semaphore::new((config.max_in_flight / 2).max(1))),
            by_endpoint: Mutex::default(),
        }
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.config
            .max_in_flight
            .saturating_sub(self.places.available_permits())
    }

    /// Asks to start an attempt. `rate_limit` is the endpoint's, in requests per second.
    pub fn admit(&self, endpoint: &EndpointId, rate_limit: Option<u32>, now: Instant) -> Verdict {
        let gate = self.gate(endpoint, now);
        let mut state = gate.lock();
        state.rate = match (state.rate.take(), rate_limit) {
            (_, None) => None,
            (Some(rate), Some(limit)) if rate.per_second() == limit => Some(rate),
            (_, Some(limit)) => Some(RateLimit::new(limit, now)),
        };
        if let Some(until) = state.not_before.filter(|until| *until > now) {
            return Verdict::Defer(state.defer(until, now, gate.in_flight_limit));
        }
        // Asked first, since only the breaker can lead an endpoint back to health.
        if let Admission::Refused { until } = state.breaker.admit(now) {
            return Verdict::Defer(state.defer(until, now, gate.in_flight_limit));
        }
        if let Some(until) = state.rate.as_ref().and_then(|rate| rate.wait_until(now)) {
            state.breaker.withdraw();
            return Verdict::Defer(state.defer(until, now, gate.in_flight_limit));
        }
        let slow = if state.is_slow() {
            let Ok(slow) = Arc::clone(&self.slow_places).try_acquire_owned() else {
                state.breaker.withdraw();
                return Verdict::Defer(state.defer(now, now, gate.in_flight_limit));
            };
            Some(slow)
        } else {
            None
        };
        if let Ok(endpoint) = Arc::clone(&gate.places).try_acquire_owned() {
            let Ok(process) = Arc::clone(&self.places).try_acquire_owned() else {
                // The process is full, which says nothing about this endpoint: wait for a place.
                drop(endpoint);
                return wait(&gate, &mut state)
                    .unwrap_or_else(|| state.refuse(now, gate.in_flight_limit));
            };
            if let Some(rate) = &mut state.rate {
                rate.take(now);
            }
            drop(state);
            return Verdict::Start(Place::new(gate, endpoint, process, slow, now));
        }
        if state.expected_wait(gate.in_flight_limit) <= SHORT_WAIT
            && let Some(verdict) = wait(&gate, &mut state)
        {
            return verdict;
        }
        state.refuse(now, gate.in_flight_limit)
    }

    /// Waits for the place that [`Verdict::Wait`] promised. `None`: it did not come as soon as was
    /// expected, since the receiver has become slow; put the delivery off.
    pub async fn wait(&self, waiting: Waiting) -> Option<Place> {
        // Cancel-safe: a place that was not given out stays where it is, and the line is left.
        tokio::time::timeout(LONGEST_WAIT, self.wait_for_place(waiting))
            .await
            .ok()?
    }

    async fn wait_for_place(&self, mut waiting: Waiting) -> Option<Place> {
        let gate = Arc::clone(&waiting.gate);
        // Semaphores of this module are never closed; if they were, there would be no place.
        let endpoint = Arc::clone(&gate.places).acquire_owned().await.ok()?;
        let process = Arc::clone(&self.places).acquire_owned().await.ok()?;
        waiting.is_served = true;
        drop(waiting);
        let now = tokio::time::Instant::now().into_std();
        if let Some(rate) = &mut gate.lock().rate {
            rate.take(now);
        }
        Some(Place::new(gate, endpoint, process, None, now))
    }

    /// Waits for one of the process's places, for what goes to no endpoint. `None` never happens:
    /// the places are not closed.
    pub(crate) async fn any_place(&self) -> Option<OwnedSemaphorePermit> {
        // Cancel-safe: a place that was not given out stays where it is.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    fn gate(&self, endpoint: &EndpointId, now: Instant) -> Arc<Gate> {
        let mut gates = self
            .by_endpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(endpoint) {
            return Arc::clone(gate);
        }
        if gates.len() >= SWEEP_ABOVE {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.lock().is_idle(now));
        }
        let gate = Arc::new(Gate {
            places: Arc::new(Semaphore::new(self.config.endpoint_in_flight)),
            in_flight_limit: self.config.endpoint_in_flight,
            state: Mutex::new(GateState {
                breaker: Breaker::new(self.config.breaker),
                rate: None,
                line: Line::default(),
                usual: Duration::ZERO,
                waiting: 0,
                not_before: None,
            }),
        });
        gates.insert(endpoint.clone(), Arc::clone(&gate));
        gate
    }
}

/// A place in the short line, if there is one. The breaker's admission stays taken.
fn wait(gate: &Arc<Gate>, state: &mut GateState) -> Option<Verdict> {
    if state.waiting >= MAX_WAITING {
        return None;
    }
    state.waiting += 1;
    Some(Verdict::Wait(Waiting {
        gate: Arc::clone(gate),
        is_served: false,
    }))
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GateState {
    fn is_idle(&self, now: Instant) -> bool {
        self.waiting == 0
            && self.breaker.is_idle(now)
            && self.not_before.is_none_or(|until| until <= now)
            && self.line.is_empty(now)
    }

    fn is_slow(&self) -> bool {
        self.usual >= SLOW
    }

    /// How long a delivery that joins the short line now will wait, by what attempts took lately.
    fn expected_wait(&self, in_flight_limit: usize) -> Duration {
        let ahead = u32::try_from(self.waiting + 1).unwrap_or(u32::MAX);
        self.usual.saturating_mul(ahead) / divisor(in_flight_limit)
    }

    fn refuse(&mut self, now: Instant, in_flight_limit: usize) -> Verdict {
        self.breaker.withdraw();
        Verdict::Defer(self.defer(now, now, in_flight_limit))
    }

    /// The next free slot of the long line, not before `until`.
    fn defer(&mut self, until: Instant, now: Instant, in_flight_limit: usize) -> Duration {
        let spacing = match &self.rate {
            Some(rate) => rate.spacing(),
            None => (self.usual / divisor(in_flight_limit)).min(WIDEST_SPACING),
        };
        self.line.next_slot(until, spacing, now)
    }
}

fn divisor(in_flight_limit: usize) -> u32 {
    u32::try_from(in_flight_limit).unwrap_or(u32::MAX).max(1)
}

impl Place {
    fn new(
        gate: Arc<Gate>,
        endpoint: OwnedSemaphorePermit,
        process: OwnedSemaphorePermit,
        slow: Option<OwnedSemaphorePermit>,
        started: Instant,
    ) -> Self {
        Self {
            gate,
            started,
            finished: false,
            _endpoint: endpoint,
            _process: process,
            _slow: slow,
        }
    }

    /// Gives the place back and tells the gate how the receiver did. `pause` is what the receiver
    /// asked for.
    pub fn finish(mut self, health: Health, pause: Option<Duration>, now: Instant) {
        self.finished = true;
        let took = now.saturating_duration_since(self.started);
        let mut state = self.gate.lock();
        state.usual = (state.usual * 3 + took) / 4;
        state.breaker.record(health == Health::Good, now);
        if let Some(pause) = pause {
            state.not_before = state.not_before.max(Some(now + pause));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.finished {
            self.gate.lock().breaker.withdraw();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.waiting = state.waiting.saturating_sub(1);
        if !self.is_served {
            state.breaker.withdraw();
        }
    }
}

#[cfg(test)]
mod tests;
