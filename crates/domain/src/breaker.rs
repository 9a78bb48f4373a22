//! A circuit breaker per endpoint: a failing receiver gets a rest, its deliveries wait in a tier,
//! and nobody else notices. A pure state machine; the caller brings the time.
//!
//! Closed: everything passes. Five failures in a row, or half of at least 20 attempts within a
//! minute, open it. Open: nothing passes until the pause (30 s, doubling up to 15 min) is over.
//! Half-open: one probe; each success lets twice as many through (1, 2, 4 …) until it is closed,
//! each failure half as many, and a failure of the only one opens it again. So a receiver that
//! always fails a few of its requests comes back all the same.

use std::time::{Duration, Instant};

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub consecutive: u32,
    /// Attempts within the window from which on half of them failing opens it.
    pub window_attempts: u32,
    /// The length of the window.
    pub window: Duration,
    /// The first pause.
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// Attempts let through at once that end the ramp.
    pub ramp_end: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            consecutive: 5,
            window_attempts: 20,
            window: Duration::from_secs(60),
            pause: Duration::from_secs(30),
            longest_pause: Duration::from_secs(15 * 60),
            ramp_end: 16,
        }
    }
}

/// Whether an attempt may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may; tell the breaker its result afterwards.
    Allowed,
    /// Not before this time.
    Refused {
        /// When to ask again.
        until: Instant,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { allowed: u32, running: u32 },
}

/// The state of one endpoint.
#[derive(Debug, Clone)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    failures_in_a_row: u32,
    next_pause: Duration,
    window_start: Option<Instant>,
    window_attempts: u32,
    window_failures: u32,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: State::Closed,
            failures_in_a_row: 0,
            next_pause: config.pause,
            window_start: None,
            window_attempts: 0,
            window_failures: 0,
        }
    }

    /// Whether everything passes.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether nothing has failed lately, so that forgetting this breaker loses nothing.
    pub fn is_idle(&self, now: Instant) -> bool {
        let window_over = self
            .window_start
            .is_none_or(|start| now.duration_since(start) > self.config.window);
        self.is_closed() && self.failures_in_a_row == 0 && window_over
    }

    /// Asks to start an attempt. When the pause is over the first one through is the probe.
    pub fn admit(&mut self, now: Instant) -> Admission {
        match &mut self.state {
            State::Closed => Admission::Allowed,
            State::Open { until } if now < *until => Admission::Refused { until: *until },
            State::Open { .. } => {
                self.state = State::HalfOpen {
                    allowed: 1,
                    running: 1,
                };
                Admission::Allowed
            }
            State::HalfOpen { allowed, running } if *running < *allowed => {
                *running += 1;
                Admission::Allowed
            }
            State::HalfOpen { .. } => Admission::Refused {
                until: now + Duration::from_secs(1),
            },
        }
    }

    /// Takes back an admission whose attempt was not made (or gave no verdict on the receiver).
    pub fn withdraw(&mut self) {
        if let State::HalfOpen { running, .. } = &mut self.state {
            *running = running.saturating_sub(1);
        }
    }

    /// Takes note of an attempt's result. Results of attempts that started before it opened change
    /// nothing while it is open.
    pub fn record(&mut self, healthy: bool, now: Instant) {
        self.count(healthy, now);
        match self.state {
            State::Closed if !healthy && self.is_bad() => self.open(now),
            State::HalfOpen { allowed: 0..=1, .. } if !healthy => self.open(now),
            State::HalfOpen { allowed, running } => {
                let allowed = if healthy {
                    allowed.saturating_mul(2)
                } else {
                    allowed / 2
                };
                if allowed >= self.config.ramp_end {
                    *self = Self::new(self.config);
                } else {
                    self.state = State::HalfOpen {
                        allowed,
                        running: running.saturating_sub(1),
                    };
                }
            }
            State::Closed | State::Open { .. } => {}
        }
    }

    fn count(&mut self, healthy: bool, now: Instant) {
        if self
            .window_start
            .is_none_or(|start| now.duration_since(start) > self.config.window)
        {
            self.window_start = Some(now);
            self.window_attempts = 0;
            self.window_failures = 0;
        }
        self.window_attempts = self.window_attempts.saturating_add(1);
        if healthy {
            self.failures_in_a_row = 0;
        } else {
            self.window_failures = self.window_failures.saturating_add(1);
            self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        }
    }

    fn is_bad(&self) -> bool {
        self.failures_in_a_row >= self.config.consecutive
            || (self.window_attempts >= self.config.window_attempts
                && self.window_failures * 2 >= self.window_attempts)
    }

    fn open(&mut self, now: Instant) {
        self.state = State::Open {
            until: now + self.next_pause,
        };
        self.next_pause = (self.next_pause * 2).min(self.config.longest_pause);
        self.window_start = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> (Breaker, Instant) {
        (Breaker::new(BreakerConfig::default()), Instant::now())
    }

    fn fail(breaker: &mut Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.record(false, now);
        }
    }

    #[test]
    fn opens_after_five_failures_in_a_row() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 4, now);
        breaker.record(true, now);
        fail(&mut breaker, 4, now);
        assert!(breaker.is_closed());
        fail(&mut breaker, 1, now);
        assert_eq!(
            breaker.admit(now),
            Admission::Refused {
                until: now + Duration::from_secs(30)
            }
        );
    }

    #[test]
    fn opens_when_half_of_twenty_fail() {
        let (mut breaker, now) = breaker();
        for n in 0..19 {
            breaker.record(n % 2 == 0, now);
        }
        assert!(breaker.is_closed());
        breaker.record(false, now);
        assert!(!breaker.is_closed());
    }

    #[test]
    fn old_failures_are_forgotten() {
        let (mut breaker, now) = breaker();
        for n in 0..19 {
            breaker.record(n % 2 == 0, now);
        }
        let later = now + Duration::from_secs(61);
        breaker.record(false, later);
        assert!(breaker.is_closed());
        breaker.record(true, later);
        assert!(breaker.is_idle(later + Duration::from_secs(61)));
    }

    #[test]
    fn one_probe_then_a_ramp_then_closed() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 5, now);
        let later = now + Duration::from_secs(30);
        assert_eq!(breaker.admit(later), Admission::Allowed);
        assert!(
            matches!(breaker.admit(later), Admission::Refused { .. }),
            "only one probe"
        );
        breaker.record(true, later);
        assert_eq!(breaker.admit(later), Admission::Allowed);
        assert_eq!(breaker.admit(later), Admission::Allowed);
        assert!(
            matches!(breaker.admit(later), Admission::Refused { .. }),
            "then two"
        );
        for _ in 0..3 {
            breaker.record(true, later);
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_failure_halves_the_ramp_and_the_last_one_opens_it() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 5, now);
        let later = now + Duration::from_secs(30);
        let passing = |breaker: &mut Breaker| {
            let passed = (0..20).take_while(|_| breaker.admit(later) == Admission::Allowed);
            let passed = passed.count();
            (0..passed).for_each(|_| breaker.withdraw());
            passed
        };
        let mut passed = Vec::new();
        for healthy in [true, true, false, true, false, false] {
            assert_eq!(breaker.admit(later), Admission::Allowed);
            breaker.record(healthy, later);
            passed.push(passing(&mut breaker));
        }
        assert_eq!(passed, [2, 4, 2, 4, 2, 1]);
        breaker.record(false, later);
        let until = later + Duration::from_secs(60);
        assert_eq!(breaker.admit(later), Admission::Refused { until });
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_a_quarter_of_an_hour() {
        let (mut breaker, mut now) = breaker();
        fail(&mut breaker, 5, now);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let Admission::Refused { until } = breaker.admit(now) else {
                panic!("open")
            };
            pauses.push((until - now).as_secs());
            now = until;
            assert_eq!(breaker.admit(now), Admission::Allowed);
            breaker.record(false, now);
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn a_withdrawn_probe_frees_its_place() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 5, now);
        let later = now + Duration::from_secs(30);
        assert_eq!(breaker.admit(later), Admission::Allowed);
        breaker.withdraw();
        assert_eq!(breaker.admit(later), Admission::Allowed);
    }

    proptest::proptest! {
        #[test]
        fn never_stuck_whatever_happens(steps in proptest::collection::vec((0_u8..4, 0_u64..100), 0..200)) {
            let (mut breaker, mut now) = breaker();
            for (what, seconds) in steps {
                now += Duration::from_secs(seconds);
                match what {
                    0 => { let _admission = breaker.admit(now); }
                    1 => breaker.record(true, now),
                    2 => breaker.record(false, now),
                    _ => breaker.withdraw(),
                }
            }
            // Running probes all come to an end; then the next one is let through.
            for _ in 0..200 { breaker.withdraw(); }
            now += Duration::from_secs(900);
            proptest::prop_assert_eq!(breaker.admit(now), Admission::Allowed);
        }
    }
}
