//! Retry policies: how long to wait before attempt n + 1.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::{Problem, parse_duration};

/// Most retries of one policy.
pub const MAX_RETRIES: u32 = 100;
/// Longest wait between two attempts.
pub const MAX_DELAY: Duration = Duration::from_secs(7 * 86400);

/// The delays, without jitter.
#[derive(Debug, Clone, PartialEq)]
pub enum RetrySchedule {
    /// One delay per retry.
    Delays(Vec<Duration>),
    /// `base`, `base × factor`, `base × factor²` …, never more than `max`.
    Exponential {
        /// The first delay.
        base: Duration,
        /// What each delay is multiplied by to give the next; at least 1.
        factor: f64,
        /// The longest delay.
        max: Duration,
        /// How many retries.
        retries: u32,
    },
}

/// When failed attempts are made again.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The delays.
    pub schedule: RetrySchedule,
    /// Up to this share of the delay is added at random (0 to 1). It is never taken away: no
    /// retry comes early.
    pub jitter: f64,
    /// What is retried, where the policy says so itself (a profile's does, an endpoint's does not).
    pub on: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    delays: Option<Vec<String>>,
    exponential: Option<ExponentialDocument>,
    #[serde(default)]
    jitter: f64,
    on: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExponentialDocument {
    base: String,
    factor: f64,
    max: String,
    retries: u32,
}

impl RetryPolicy {
    /// Reads the JSON form: `{"delays":["10s","100s"]}` or
    /// `{"exponential":{"base":"1s","factor":2,"max":"1h","retries":10}}`, both with `"jitter":0.1`.
    ///
    /// # Errors
    /// Every problem, with pointers below `pointer`.
    pub fn parse(json: &Value, pointer: &str) -> Result<Self, Vec<Problem>> {
        let document: Document = serde_json::from_value(json.clone())
            .map_err(|error| vec![Problem::new(pointer, error.to_string())])?;
        let mut problems = Vec::new();
        let mut read = |at: String, text: &str| {
            let parsed = parse_duration(text)
                .map_err(|error| error.to_string())
                .and_then(|delay| {
                    if delay <= MAX_DELAY {
                        Ok(delay)
                    } else {
                        Err("a delay is at most 7d".to_owned())
                    }
                });
            parsed.unwrap_or_else(|detail| {
                problems.push(Problem::new(at, detail));
                Duration::ZERO
            })
        };
        let schedule = match (document.delays, document.exponential) {
            (Some(delays), None) => RetrySchedule::Delays(
                delays
                    .iter()
                    .enumerate()
                    .map(|(n, text)| read(format!("{pointer}/delays/{n}"), text))
                    .collect(),
            ),
            (None, Some(exponential)) => RetrySchedule::Exponential {
                base: read(format!("{pointer}/exponential/base"), &exponential.base),
                factor: exponential.factor,
                max: read(format!("{pointer}/exponential/max"), &exponential.max),
                retries: exponential.retries,
            },
            (None, None) | (Some(_), Some(_)) => {
                return Err(vec![Problem::new(
                    pointer,
                    "give either `delays` or `exponential`",
                )]);
            }
        };
        match &schedule {
            RetrySchedule::Exponential { factor, base, .. }
                if !(1.0..=100.0).contains(factor) || base.is_zero() =>
            {
                problems.push(Problem::new(
                    format!("{pointer}/exponential"),
                    "`factor` is between 1 and 100, and `base` longer than nothing",
                ));
            }
            RetrySchedule::Exponential { .. } | RetrySchedule::Delays(_) => {}
        }
        let policy = Self {
            schedule,
            jitter: document.jitter,
            on: document.on,
        };
        if policy.retries() > MAX_RETRIES {
            problems.push(Problem::new(
                pointer,
                format!("at most {MAX_RETRIES} retries"),
            ));
        }
        if !(0.0..=1.0).contains(&policy.jitter) {
            problems.push(Problem::new(
                format!("{pointer}/jitter"),
                "jitter is a share between 0 and 1",
            ));
        }
        if problems.is_empty() {
            Ok(policy)
        } else {
            Err(problems)
        }
    }

    /// How many retries follow a first attempt at most.
    pub fn retries(&self) -> u32 {
        match &self.schedule {
            RetrySchedule::Delays(delays) => u32::try_from(delays.len()).unwrap_or(u32::MAX),
            RetrySchedule::Exponential { retries, .. } => *retries,
        }
    }

    /// The wait before the next attempt when `retries_used` retries have been made, or `None`
    /// when they are used up. `random` is in 0..1 and chooses the jitter.
    pub fn delay(&self, retries_used: u32, random: f64) -> Option<Duration> {
        if retries_used >= self.retries() {
            return None;
        }
        let plain = match &self.schedule {
            RetrySchedule::Delays(delays) => *delays.get(usize::try_from(retries_used).ok()?)?,
            RetrySchedule::Exponential {
                base, factor, max, ..
            } => {
                let exponent = i32::try_from(retries_used).unwrap_or(i32::MAX);
                let seconds = base.as_secs_f64() * factor.powi(exponent);
                // Also the answer when the power has overflowed to infinity.
                if seconds < max.as_secs_f64() {
                    Duration::from_secs_f64(seconds)
                } else {
                    *max
                }
            }
        };
        Some(plain + plain.mul_f64(self.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(json: Value) -> RetryPolicy {
        RetryPolicy::parse(&json, "/retry").unwrap()
    }

    #[test]
    fn ten_then_hundred_seconds() {
        let policy = policy(json!({"delays": ["10s", "100s"]}));
        assert_eq!(policy.delay(0, 0.5), Some(Duration::from_secs(10)));
        assert_eq!(policy.delay(1, 0.5), Some(Duration::from_secs(100)));
        assert_eq!(policy.delay(2, 0.5), None);
    }

    #[test]
    fn exponential_grows_to_its_maximum() {
        let policy = policy(
            json!({"exponential": {"base": "1s", "factor": 2, "max": "5s", "retries": 100}}),
        );
        let delays: Vec<_> = (0..4)
            .map(|n| policy.delay(n, 0.0).unwrap().as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4, 5]);
        assert_eq!(policy.delay(99, 0.0), Some(Duration::from_secs(5)));
        assert_eq!(policy.delay(100, 0.0), None);
    }

    #[test]
    fn reports_every_problem_with_its_place() {
        for (json, pointer) in [
            (json!({}), "/retry"),
            (
                json!({"delays": ["10s"], "exponential": {"base":"1s","factor":2,"max":"1h","retries":1}}),
                "/retry",
            ),
            (json!({"delays": ["10s", "soon"]}), "/retry/delays/1"),
            (json!({"delays": ["8d"]}), "/retry/delays/0"),
            (json!({"delays": ["10s"], "jitter": 2.0}), "/retry/jitter"),
            (json!({"delays": ["10s"], "extra": 1}), "/retry"),
            (
                json!({"exponential": {"base":"0s","factor":2,"max":"1h","retries":1}}),
                "/retry/exponential",
            ),
            (
                json!({"exponential": {"base":"1s","factor":0.5,"max":"1h","retries":1}}),
                "/retry/exponential",
            ),
            (
                json!({"exponential": {"base":"1s","factor":2,"max":"1h","retries":101}}),
                "/retry",
            ),
            (json!("10s"), "/retry"),
        ] {
            let problems = RetryPolicy::parse(&json, "/retry").unwrap_err();
            assert_eq!(problems[0].pointer, pointer, "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn jitter_is_added_never_taken(base in 1_u64..3600, factor in 1.0_f64..100.0, n in 0_u32..100, random in 0.0_f64..1.0, jitter in 0.0_f64..1.0) {
            let plain = RetryPolicy {
                schedule: RetrySchedule::Exponential { base: Duration::from_secs(base), factor, max: Duration::from_secs(86400), retries: 100 },
                jitter: 0.0,
                on: None,
            };
            let jittered = RetryPolicy { jitter, ..plain.clone() };
            let (a, b) = (plain.delay(n, random).unwrap(), jittered.delay(n, random).unwrap());
            proptest::prop_assert!(a <= b && b <= a * 2);
            proptest::prop_assert!(a <= Duration::from_secs(86400));
        }
    }
}
