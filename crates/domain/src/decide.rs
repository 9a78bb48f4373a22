//! What follows from an attempt: the one place that judges it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{AttemptResult, DeliveryPolicy, Outcome};

/// Longest `Retry-After` that is honoured.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// The delivery has succeeded.
    Succeed,
    /// Another attempt, not before `at`.
    RetryAt {
        /// When it is due.
        at: DateTime<Utc>,
        /// Why there is another attempt and why then, for a person.
        reason: String,
    },
    /// The delivery has failed.
    Fail {
        /// Why no attempt follows, for a person.
        reason: String,
    },
    /// The receiver said 410 Gone: the delivery has failed and the endpoint is to be disabled.
    FailAndDisable {
        /// Why, for a person.
        reason: String,
    },
}

/// Decides what follows from an attempt.
///
/// `retries_used` counts the automatic retries made since the delivery was last (re)started;
/// `random` in 0..1 chooses the jitter; `scale` shortens all delays in tests and is 1 otherwise.
///
/// A `Retry-After` (only with 429 and 503) can make the wait longer than the policy's, up to
/// 24 hours, never shorter.
pub fn decide(
    result: &AttemptResult,
    policy: &DeliveryPolicy,
    retries_used: u32,
    random: f64,
    scale: f64,
) -> NextStep {
    if result.outcome == Outcome::Succeeded {
        return NextStep::Succeed;
    }
    let what = match (result.outcome, result.status_code) {
        (Outcome::HttpError, Some(status)) => format!("status {status}"),
        (outcome, _) => outcome.as_str().replace('_', " "),
    };
    if result.status_code == Some(410) && result.outcome == Outcome::HttpError {
        return NextStep::FailAndDisable {
            reason: "status 410: the receiver is gone for good".to_owned(),
        };
    }
    if !policy.is_retried(result.outcome, result.status_code) {
        return NextStep::Fail {
            reason: format!("{what} is not retried"),
        };
    }
    let Some(delay) = policy.retry.delay(retries_used, random) else {
        return NextStep::Fail {
            reason: format!("{what}, and all {retries_used} retries are used up"),
        };
    };
    let asked = match result.status_code {
        Some(429 | 503) => result.retry_after.map(|wait| wait.min(MAX_RETRY_AFTER)),
        Some(_) | None => None,
    };
    let (wait, why) = match asked {
        Some(asked) if asked > delay => (asked, ", waiting as its Retry-After asks"),
        Some(_) | None => (delay, ""),
    };
    let total = policy.retry.retries();
    let reason = format!("{what}: retry {} of {total}{why}", retries_used + 1);
    NextStep::RetryAt {
        at: result.finished_at + wait.mul_f64(scale),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy() -> DeliveryPolicy {
        let retry = json!({"delays": ["10s", "100s"], "on": ["network", "timeout", "300-399", "500-599", "429"]});
        DeliveryPolicy::parse(&["200-299".to_owned()], &retry, "10s").unwrap()
    }

    fn result(outcome: Outcome, status: Option<u16>, retry_after: Option<u64>) -> AttemptResult {
        AttemptResult {
            outcome,
            status_code: status,
            retry_after: retry_after.map(Duration::from_secs),
            finished_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        }
    }

    fn wait(result: &AttemptResult, retries_used: u32) -> Option<i64> {
        match decide(result, &policy(), retries_used, 0.0, 1.0) {
            NextStep::RetryAt { at, .. } => Some((at - result.finished_at).num_seconds()),
            NextStep::Succeed | NextStep::Fail { .. } | NextStep::FailAndDisable { .. } => None,
        }
    }

    #[test]
    fn success_ends_it() {
        let step = decide(
            &result(Outcome::Succeeded, Some(200), None),
            &policy(),
            0,
            0.0,
            1.0,
        );
        assert_eq!(step, NextStep::Succeed);
    }

    #[test]
    fn waits_ten_then_a_hundred_seconds_then_fails() {
        let failed = result(Outcome::HttpError, Some(500), None);
        assert_eq!(wait(&failed, 0), Some(10));
        assert_eq!(wait(&failed, 1), Some(100));
        let step = decide(&failed, &policy(), 2, 0.0, 1.0);
        assert_eq!(
            step,
            NextStep::Fail {
                reason: "status 500, and all 2 retries are used up".to_owned()
            }
        );
    }

    #[test]
    fn what_is_not_listed_is_final() {
        let step = decide(
            &result(Outcome::HttpError, Some(404), None),
            &policy(),
            0,
            0.0,
            1.0,
        );
        assert_eq!(
            step,
            NextStep::Fail {
                reason: "status 404 is not retried".to_owned()
            }
        );
    }

    #[test]
    fn gone_disables_the_endpoint() {
        let step = decide(
            &result(Outcome::HttpError, Some(410), None),
            &policy(),
            0,
            0.0,
            1.0,
        );
        assert!(matches!(step, NextStep::FailAndDisable { .. }));
    }

    #[test]
    fn retry_after_lengthens_and_never_shortens() {
        assert_eq!(
            wait(&result(Outcome::HttpError, Some(503), Some(60)), 0),
            Some(60)
        );
        assert_eq!(
            wait(&result(Outcome::HttpError, Some(429), Some(5)), 0),
            Some(10)
        );
        assert_eq!(
            wait(&result(Outcome::HttpError, Some(503), Some(10_000_000)), 0),
            Some(86400)
        );
        assert_eq!(
            wait(&result(Outcome::HttpError, Some(500), Some(60)), 0),
            Some(10)
        );
    }

    proptest::proptest! {
        #[test]
        fn never_early_and_never_for_ever(status in 200_u16..600, used in 0_u32..5, after in proptest::option::of(0_u64..u64::MAX / 2), random in 0.0_f64..1.0) {
            let result = result(Outcome::HttpError, Some(status), after);
            match decide(&result, &policy(), used, random, 1.0) {
                NextStep::RetryAt { at, .. } => {
                    let wait = (at - result.finished_at).num_seconds();
                    let shortest = if used == 0 { 10 } else { 100 };
                    proptest::prop_assert!(wait >= shortest);
                    proptest::prop_assert!(wait <= 86400);
                    proptest::prop_assert!(used < 2);
                }
                NextStep::Succeed => proptest::prop_assert!(false, "a failure cannot succeed"),
                NextStep::Fail { .. } | NextStep::FailAndDisable { .. } => {}
            }
        }
    }
}
