//! A delivery's policy: what counts as success, what is retried, when, and how long an attempt
//! may take. A profile gives it; an endpoint may override the schedule and the timeout.

use std::time::Duration;

use serde_json::Value;

use crate::{Outcome, Problem, RetryPolicy, parse_duration};

/// Longest timeout of an attempt.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// A range of status codes, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// The lowest code.
    pub first: u16,
    /// The highest code.
    pub last: u16,
}

impl StatusRange {
    /// Reads `200` or `200-299`.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let code = |text: &str| {
            let plain = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>()
                .ok()
                .filter(|code| plain && (100..=599).contains(code))
        };
        let (first, last) = (code(first)?, code(last)?);
        (first <= last).then_some(Self { first, last })
    }

    /// Whether the code is in the range.
    pub const fn contains(self, code: u16) -> bool {
        self.first <= code && code <= self.last
    }
}

/// A kind of failure that is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// No usable answer: unreachable, TLS, protocol, blocked.
    Network,
    /// The deadline passed.
    Timeout,
    /// An answer with a status in the range.
    Status(StatusRange),
}

impl RetryClass {
    /// Reads `network`, `timeout` or a status range.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "network" => Some(Self::Network),
            "timeout" => Some(Self::Timeout),
            range => StatusRange::parse(range).map(Self::Status),
        }
    }
}

/// How a delivery is attempted, judged and retried.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryPolicy {
    /// Status codes that are a success.
    pub success: Vec<StatusRange>,
    /// What is retried.
    pub retry_on: Vec<RetryClass>,
    /// When it is retried.
    pub retry: RetryPolicy,
    /// From the name look-up to the last byte of the answer.
    pub timeout: Duration,
}

impl DeliveryPolicy {
    /// Reads the parts `success`, `retry` and `timeout` of a profile document.
    ///
    /// # Errors
    /// Every problem, with its JSON pointer in the profile.
    pub fn parse(success: &[String], retry: &Value, timeout: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut ranges = Vec::new();
        for (index, text) in success.iter().enumerate() {
            match StatusRange::parse(text) {
                Some(range) if range.first >= 200 => ranges.push(range),
                Some(_) | None => problems.push(Problem::new(
                    format!("/success/{index}"),
                    "write a status from 200 to 599 or a range, as in `200-299`",
                )),
            }
        }
        if success.is_empty() {
            problems.push(Problem::new(
                "/success",
                "name at least one status range, as in `200-299`",
            ));
        }
        let retry = RetryPolicy::parse(retry, "/retry").unwrap_or_else(|mut found| {
            problems.append(&mut found);
            RetryPolicy {
                schedule: crate::RetrySchedule::Delays(Vec::new()),
                jitter: 0.0,
                on: None,
            }
        });
        let mut retry_on = Vec::new();
        let everything = ["network", "timeout", "200-599"]
            .map(str::to_owned)
            .to_vec();
        for (index, text) in retry.on.as_ref().unwrap_or(&everything).iter().enumerate() {
            match RetryClass::parse(text) {
                Some(class) => retry_on.push(class),
                None => problems.push(Problem::new(
                    format!("/retry/on/{index}"),
                    "write `network`, `timeout`, a status or a range, as in `500-599`",
                )),
            }
        }
        let timeout = parse_timeout(timeout, "/timeout").unwrap_or_else(|problem| {
            problems.push(problem);
            Duration::ZERO
        });
        if problems.is_empty() {
            Ok(Self {
                success: ranges,
                retry_on,
                retry,
                timeout,
            })
        } else {
            Err(problems)
        }
    }

    /// Whether an answer with this status is a success.
    pub fn is_success(&self, status: u16) -> bool {
        self.success.iter().any(|range| range.contains(status))
    }

    /// Whether a failure of this kind is retried.
    pub fn is_retried(&self, outcome: Outcome, status: Option<u16>) -> bool {
        self.retry_on.iter().any(|class| match class {
            RetryClass::Network => match outcome {
                Outcome::Unreachable
                | Outcome::TlsError
                | Outcome::ProtocolError
                | Outcome::Blocked => true,
                Outcome::Succeeded | Outcome::HttpError | Outcome::Timeout => false,
            },
            RetryClass::Timeout => outcome == Outcome::Timeout,
            RetryClass::Status(range) => {
                outcome == Outcome::HttpError && status.is_some_and(|status| range.contains(status))
            }
        })
    }
}

/// Reads a timeout: longer than nothing, at most a minute.
///
/// # Errors
/// What is wrong, at `pointer`.
pub fn parse_timeout(text: &str, pointer: &str) -> Result<Duration, Problem> {
    match parse_duration(text) {
        Ok(timeout) if !timeout.is_zero() && timeout <= MAX_TIMEOUT => Ok(timeout),
        Ok(_) => Err(Problem::new(
            pointer,
            "a timeout is longer than 0s and at most 60s",
        )),
        Err(error) => Err(Problem::new(pointer, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_profile_s_policy() {
        let retry = json!({"delays": ["1s"], "on": ["network", "timeout", "500-599", "429"]});
        let policy = DeliveryPolicy::parse(&["200-299".to_owned()], &retry, "10s").unwrap();
        assert!(policy.is_success(204) && !policy.is_success(301));
        assert!(policy.is_retried(Outcome::HttpError, Some(503)));
        assert!(policy.is_retried(Outcome::HttpError, Some(429)));
        assert!(!policy.is_retried(Outcome::HttpError, Some(404)));
        assert!(policy.is_retried(Outcome::Timeout, None));
        assert!(policy.is_retried(Outcome::TlsError, None));
    }

    #[test]
    fn reports_all_problems_at_once() {
        let retry = json!({"delays": ["1x"], "on": ["sometimes"]});
        let problems = DeliveryPolicy::parse(&["20".to_owned()], &retry, "2m").unwrap_err();
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/success/0", "/retry/delays/0", "/timeout"]);
    }

    #[test]
    fn status_ranges_are_three_digits() {
        for bad in [
            "",
            "20",
            "2xx",
            "600",
            "299-200",
            "200-",
            "-200",
            "+200",
            "200-299-300",
        ] {
            assert_eq!(StatusRange::parse(bad), None, "{bad}");
        }
    }
}
