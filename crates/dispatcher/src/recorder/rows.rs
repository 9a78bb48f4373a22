//! What an attempt gave, as the ledger's rows.

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
            request_headers: settled.request_headers.clone(),
            status_code: judged.status_code,
            response_headers: judged.response_headers.clone(),
            response_body: judged.response_body.clone(),
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
