//! One attempt for one delivery: build the request, send it, judge the answer.
//!
//! Called with a place that the gate gave, by fan-out and by the delivery consumer alike. Never
//! publishes, writes or acks itself: what must follow goes to the recorder as a [`Settled`].

mod judge;
mod request;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use signpost_broker::DeliveryMessage;
use signpost_domain::{NextStep, Outcome, decide};
use signpost_egress::{Answer, shown_headers};
use signpost_runtime::{crash_point, sabotaged};

use crate::{
    context::Context,
    directory::{EndpointEntry, LoadedProfile, TenantDirectory},
    gate::{Health, Place},
    ticket::Ticket,
};

pub use judge::Judged;

/// A delivery that is being worked on: its message, and what to ack when it is done.
#[derive(Debug)]
pub struct OpenDelivery {
    /// Everything about it.
    pub message: DeliveryMessage,
    /// What is acked when its next state is durable.
    pub ticket: Ticket,
    /// When the event was accepted, where this is its first attempt.
    pub accepted_at: Option<DateTime<Utc>>,
}

/// What an attempt gave and what follows from it, for the recorder.
#[derive(Debug)]
pub struct Settled {
    /// The delivery.
    pub open: OpenDelivery,
    /// When the request was sent.
    pub requested_at: DateTime<Utc>,
    /// When the answer, or the failure, was there.
    pub finished_at: DateTime<Utc>,
    /// How long it took.
    pub duration: Duration,
    /// Headers as sent, as the record shows them.
    pub request_headers: Box<RawValue>,
    /// The answer.
    pub judged: Judged,
    /// What follows.
    pub next: NextStep,
}

/// The answer to an attempt that our own side could not make.
#[derive(Debug)]
pub struct OwnFault {
    /// The delivery, unharmed.
    pub open: OpenDelivery,
    /// What was wrong, for the log.
    pub detail: String,
}

/// Longest pause that a receiver's `Retry-After` gives its whole endpoint.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Makes the attempt. Gives the place back with what was learned about the receiver.
///
/// # Errors
/// When our own side failed before anything was sent: the delivery is to be deferred, and uses up
/// no attempt.
pub async fn make(
    context: &Context,
    open: OpenDelivery,
    tenant: &TenantDirectory,
    endpoint: &EndpointEntry,
    profile: &Arc<LoadedProfile>,
    place: Place,
) -> Result<Settled, OwnFault> {
    let former;
    let policy = if Arc::ptr_eq(profile, &endpoint.profile) {
        &endpoint.policy
    } else {
        former = endpoint.overrides.apply(profile);
        &former
    };
    let requested_at = context.clock.now();
    if let (1, Some(accepted_at)) = (open.message.attempt, open.accepted_at) {
        let waited = (requested_at - accepted_at).to_std().unwrap_or_default();
        context
            .metrics
            .event_to_first_attempt
            .observe(waited.as_secs_f64());
    }
    crash_point("before-post");
    let (request_headers, sent) = match request::build(
        &open.message,
        tenant,
        endpoint,
        profile,
        policy.timeout,
        requested_at,
    ) {
        Ok(request) => (
            shown_headers(&request.headers),
            context.egress.send(&request).await,
        ),
        Err(refusal) => (shown_headers(&[]), refusal),
    };
    let finished_at = context.clock.now();
    if let Answer::Failure(failure) = &sent.answer
        && failure.is_own_fault
    {
        // The place goes back without a verdict on the receiver.
        return Err(OwnFault {
            detail: failure.detail.clone().into_owned(),
            open,
        });
    }
    let duration = sent.duration;
    let judged = Judged::from(sent, policy);
    context.metrics.count_attempt(judged.outcome);
    context
        .metrics
        .attempt_duration
        .observe(duration.as_secs_f64());
    give_back(place, &judged, context.tiers.scale());

    let result = signpost_domain::AttemptResult {
        outcome: judged.outcome,
        status_code: judged.status_code,
        retry_after: judged
            .retry_after
            .filter(|_| !sabotaged("retry-after-ignored")),
        finished_at,
    };
    let next = decide(
        &result,
        policy,
        open.message.retries_used,
        rand::random(),
        context.tiers.scale(),
    );
    Ok(Settled {
        open,
        requested_at,
        finished_at,
        duration,
        request_headers,
        judged,
        next,
    })
}

/// `scale` shortens the receiver's pause, as all delays in tests.
fn give_back(place: Place, judged: &Judged, scale: f64) {
    let now = tokio::time::Instant::now().into_std();
    match health(judged.outcome, judged.status_code) {
        Some(health) => {
            let asks_for_pause = matches!(judged.status_code, Some(429 | 503));
            let pause = judged
                .retry_after
                .filter(|_| asks_for_pause)
                .map(|pause| pause.min(LONGEST_PAUSE).mul_f64(scale));
            place.finish(health, pause, now);
        }
        None => drop(place),
    }
}

/// What an attempt says about its receiver; nothing where the request was not allowed to leave. An
/// answer such as 404 is a failed delivery from a healthy receiver.
fn health(outcome: Outcome, status: Option<u16>) -> Option<Health> {
    match outcome {
        Outcome::Succeeded => Some(Health::Good),
        Outcome::HttpError => match status {
            Some(429 | 500..) => Some(Health::Bad),
            Some(_) | None => Some(Health::Good),
        },
        Outcome::Timeout | Outcome::Unreachable | Outcome::TlsError | Outcome::ProtocolError => {
            Some(Health::Bad)
        }
        Outcome::Blocked => None,
    }
}
