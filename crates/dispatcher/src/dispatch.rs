//! A delivery on its way to an attempt: through the gate, or back to the broker.
//!
//! Shared by fan-out and the delivery consumer. What is published here is published until the
//! broker has confirmed it; only then may the caller's ticket be used.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use signpost_broker::{DeliveryMessage, Publish, PublishError};
use signpost_domain::{Tier, policy::MAX_TIMEOUT};
use signpost_runtime::crash_point;

use crate::{
    attempt::{self, OpenDelivery},
    context::Context,
    directory::{EndpointEntry, LoadedProfile, TenantDirectory},
    gate::{Place, Verdict},
    ledger,
    metrics::Deferral,
    ticket::Ticket,
};

/// The wait before a publish or a query that failed for now is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The wait of a delivery whose place did not come; the gate gives it a slot when it is back.
const OUT_OF_LINE: Duration = Duration::from_secs(1);
/// The wait after a fault of our own, such as no file descriptors.
const OWN_FAULT_PAUSE: Duration = Duration::from_secs(5);

/// Starts a delivery straight from fan-out if its gate is open, and puts it off otherwise.
pub(crate) fn first_attempt(
    context: &Arc<Context>,
    message: DeliveryMessage,
    ticket: Ticket,
    accepted_at: Option<DateTime<Utc>>,
    tenant: &Arc<TenantDirectory>,
    endpoint: &Arc<EndpointEntry>,
) {
    let open = OpenDelivery {
        message,
        ticket,
        accepted_at,
    };
    let verdict = context
        .gates
        .admit(&endpoint.id, endpoint.rate_limit, monotonic_now());
    start(
        context,
        open,
        tenant,
        endpoint,
        Arc::clone(&endpoint.profile),
        verdict,
    );
}

/// Does what the gate said: starts the attempt, waits a moment for it, or defers it.
pub(crate) fn start(
    context: &Arc<Context>,
    open: OpenDelivery,
    tenant: &Arc<TenantDirectory>,
    endpoint: &Arc<EndpointEntry>,
    profile: Arc<LoadedProfile>,
    verdict: Verdict,
) {
    let (tenant, endpoint) = (Arc::clone(tenant), Arc::clone(endpoint));
    let task_context = Arc::clone(context);
    context.work("attempt", async move {
        let place = match verdict {
            Verdict::Start(place) => place,
            Verdict::Wait(waiting) => {
                let Some(place) = task_context.gates.wait(waiting).await else {
                    defer(&task_context, open, OUT_OF_LINE, Deferral::Gate).await;
                    return;
                };
                place
            }
            Verdict::Defer(wait) => {
                defer(&task_context, open, wait, Deferral::Gate).await;
                return;
            }
        };
        attempt_and_settle(&task_context, open, &tenant, &endpoint, &profile, place).await;
    });
}

async fn attempt_and_settle(
    context: &Arc<Context>,
    open: OpenDelivery,
    tenant: &TenantDirectory,
    endpoint: &EndpointEntry,
    profile: &Arc<LoadedProfile>,
    place: Place,
) {
    context.metrics.in_flight.inc();
    let result = attempt::make(context, open, tenant, endpoint, profile, place).await;
    context.metrics.in_flight.dec();
    match result {
        Ok(settled) => {
            crash_point("after-post-before-commit");
            context.recorder.record(settled).await;
        }
        Err(fault) => {
            tracing::warn!(endpoint.id = %endpoint.id, detail = fault.detail, "attempt not made, our own fault");
            defer(context, fault.open, OWN_FAULT_PAUSE, Deferral::OwnFault).await;
        }
    }
}

/// Puts a delivery off without using up an attempt: the ledger learns when it is due, a tier holds
/// it until then.
pub(crate) async fn defer(
    context: &Arc<Context>,
    mut open: OpenDelivery,
    wait: Duration,
    why: Deferral,
) {
    context.metrics.count_deferred(why);
    let due_at = whole_millis(context.clock.now() + wait);
    open.message.due_at = due_at;
    context.recorder.defer(open, due_at).await;
}

/// Publishes a delivery to the tier that fits its due time, or to the queue when it is due, until
/// the broker has confirmed it. `false`: the process is stopping; the message stays unacked.
///
/// A publish without an answer may have arrived all the same; then there are two messages for one
/// attempt, and the ledger gives it to one of them. While the broker is away nothing is tried.
pub(crate) async fn publish_until_confirmed(context: &Context, message: DeliveryMessage) -> bool {
    loop {
        while !context.publisher.is_up() {
            if context.lifecycle.is_stopping() {
                return false;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        let tier = tier_for(context, &message);
        let publish = match tier {
            Some(tier) => message.to_tier(tier),
            None => message.to_deliveries(),
        };
        match context.publisher.publish_confirmed(publish).await {
            Ok(()) => return true,
            Err(error) if may_try_again(context, error) => {}
            Err(_) => return false,
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// How long an attempt for this message may take.
pub(crate) async fn attempt_timeout(context: &Context, message: &DeliveryMessage) -> Duration {
    let question = || context.directory.tenant(&message.tenant);
    let tenant = ledger::ask(context, "reading subscriptions", question).await;
    let question = || {
        context
            .directory
            .profile(&message.profile, message.profile_version)
    };
    let profile = ledger::ask(context, "reading a profile", question).await;
    let Some(profile) = profile.flatten() else {
        return MAX_TIMEOUT;
    };
    let tenant = tenant.flatten();
    match tenant
        .as_ref()
        .and_then(|tenant| tenant.endpoint(&message.endpoint_id))
    {
        Some(endpoint) => endpoint.overrides.apply(&profile).timeout,
        None => profile.policy.timeout,
    }
}

/// The tier for what remains until the due time.
pub(crate) fn tier_for(context: &Context, message: &DeliveryMessage) -> Option<Tier> {
    let remaining = (message.due_at - context.clock.now()).to_std().ok()?;
    context.tiers.pick(remaining)
}

/// Publishes until confirmed. `false`: the process is stopping, or the message can never be
/// published; the caller's message stays unacked.
pub(crate) async fn publish_confirmed(context: &Context, publish: Publish) -> bool {
    loop {
        match context.publisher.publish_confirmed(publish.clone()).await {
            Ok(()) => return true,
            Err(error) if may_try_again(context, error) => tokio::time::sleep(RETRY_PAUSE).await,
            Err(_) => return false,
        }
    }
}

fn may_try_again(context: &Context, error: PublishError) -> bool {
    if error.is_transient() {
        tracing::debug!(%error, "publish not confirmed");
        return !context.lifecycle.is_stopping();
    }
    tracing::error!(%error, "a message cannot be published");
    false
}

/// The monotonic clock, which tests can pause.
pub(crate) fn monotonic_now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

/// The first whole millisecond that is not before `at`: messages carry due times in milliseconds,
/// and none may come early.
pub(crate) fn whole_millis(at: DateTime<Utc>) -> DateTime<Utc> {
    let below = DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at);
    if below < at {
        below + chrono::TimeDelta::milliseconds(1)
    } else {
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_due_time_is_never_rounded_down() {
        let at = |nanos| DateTime::from_timestamp(1, nanos).unwrap();
        assert_eq!(whole_millis(at(5_000_000)), at(5_000_000));
        assert_eq!(whole_millis(at(5_000_001)), at(6_000_000));
    }
}
