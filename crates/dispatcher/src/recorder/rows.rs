//! What an attempt gave, as the ledger's rows.

use serde_json::{Map, Value};
use signpost_domain::{NextStep, Outcome};
use signpost_store::{NewAttempt, NextState, Settlement};

use crate::attempt::Settled;

/// An attempt and what follows from it.
pub(super) fn settlement(settled: &Settled) -> Settlement {
    let judged = &settled.judged;
    let message = &settled.open.message;
    let has_answer = judged.status_code.is_some();
    let (next, next_attempt_at, retry_reason) = match &settled.next {
        NextStep::Succeed => (
            NextState::Succeeded {
                finished_at: settled.finished_at,
            },
            None,
            None,
        ),
        NextStep::RetryAt { at, reason } => {
            let retries_used = message.retries_used + 1;
            (
                NextState::Pending {
                    next_attempt_at: *at,
                    retries_used,
                },
                Some(*at),
                Some(reason.clone()),
            )
        }
        NextStep::Fail { reason } | NextStep::FailAndDisable { reason } => {
            let next = NextState::Failed {
                finished_at: settled.finished_at,
                reason: reason.clone(),
            };
            (next, None, Some(reason.clone()))
        }
    };
    Settlement {
        tenant: message.tenant.clone(),
        delivery_id: message.delivery_id.clone(),
        attempt: NewAttempt {
            number: message.attempt,
            trigger: message.trigger,
            outcome: judged.outcome,
            requested_at: settled.requested_at,
            responded_at: has_answer.then_some(settled.finished_at),
            duration_ms: u32::try_from(settled.duration.as_millis()).unwrap_or(u32::MAX),
            request_headers: headers(&settled.request_headers),
            status_code: judged.status_code,
            response_headers: has_answer.then(|| headers(&judged.response_headers)),
            response_body: judged.response_body.as_ref().map(|body| body.to_vec()),
            error: judged.error.clone(),
            next_attempt_at,
            retry_reason,
        },
        next,
    }
}

/// The same without anything that the receiver chose, for a database that refuses it.
pub(super) fn bare_settlement(settled: &Settled) -> Settlement {
    let mut settlement = settlement(settled);
    settlement.attempt.response_headers = None;
    settlement.attempt.response_body = None;
    if settlement.attempt.outcome == Outcome::Succeeded {
        settlement.attempt.error = Some("the answer could not be stored".to_owned());
    }
    settlement
}

/// Headers as a JSON object; a name that comes several times has its values joined by commas
/// (RFC 9110, section 5.3).
fn headers(headers: &[(String, String)]) -> Value {
    let mut object = Map::with_capacity(headers.len());
    for (name, value) in headers {
        match object.get_mut(name) {
            Some(Value::String(there)) => {
                there.push_str(", ");
                there.push_str(value);
            }
            Some(_) | None => {
                object.insert(name.clone(), Value::String(value.replace('\0', "\u{fffd}")));
            }
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_are_joined() {
        let list = [
            ("a".to_owned(), "1".to_owned()),
            ("b".to_owned(), "2\0".to_owned()),
            ("a".to_owned(), "3".to_owned()),
        ];
        assert_eq!(
            headers(&list),
            serde_json::json!({"a": "1, 3", "b": "2\u{fffd}"})
        );
    }
}
