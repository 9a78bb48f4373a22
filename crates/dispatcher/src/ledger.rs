//! Asking the ledger, patiently, and bringing work back from it.

use std::{future::Future, time::Duration};

use chrono::DateTime;
use signpost_broker::DeliveryMessage;
use signpost_store::{DueDelivery, StoreError};
use signpost_wire::EventParts;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{context::Context, dispatch};

/// The wait after a first question that failed for now.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The wait after the next failure.
pub(crate) fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// Asks until the database answers. `None`: the process is stopping, or the question itself was
/// refused, which is logged.
pub(crate) async fn ask<T, F, Fut>(context: &Context, what: &str, mut question: F) -> Option<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, StoreError>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match question().await {
            Ok(answer) => return Some(answer),
            Err(error) if error.is_transient() => {
                tracing::warn!(error = %signpost_runtime::error_chain(&error), "{what} failed for now");
            }
            Err(error) => {
                tracing::error!(error = %signpost_runtime::error_chain(&error), "{what} failed");
                return None;
            }
        }
        if context.lifecycle.is_stopping() {
            return None;
        }
        tokio::time::sleep(pause).await;
        pause = longer(pause);
    }
}

/// What has come to be written while the last batch was: up to `max`, without waiting for more.
/// `None`: stopped, with nothing left.
pub(crate) async fn next_batch<T>(
    queue: &mut mpsc::Receiver<T>,
    max: usize,
    stop: &CancellationToken,
) -> Option<Vec<T>> {
    let mut batch = Vec::new();
    let received = tokio::select! {
        biased;
        // Cancel-safe: recv_many takes nothing unless it completes.
        received = queue.recv_many(&mut batch, max) => received,
        () = stop.cancelled() => 0,
    };
    (received > 0).then_some(batch)
}

/// Publishes a delivery that the ledger has and the broker may have lost. The copy asks the ledger
/// before it is attempted. `false`: the process is stopping.
pub(crate) async fn publish_again(context: &Context, row: DueDelivery) -> bool {
    match message(context, row).await {
        Some(message) => dispatch::publish_until_confirmed(context, message).await,
        None => !context.lifecycle.is_stopping(),
    }
}

/// The same at once, for the reconciler, which has taken a lease for the copy.
pub(crate) async fn publish_now(context: &Context, row: DueDelivery) {
    let lease = row.state.next_attempt_at;
    if let Some(mut message) = message(context, row).await {
        message.due_at = DateTime::UNIX_EPOCH;
        message.lease = lease;
        // Not published: the lease ends, and the next round finds it overdue.
        let _is_published = dispatch::publish_until_confirmed(context, message).await;
    }
}

/// The message of a delivery's next attempt, rendered again from the ledger to the same bytes.
async fn message(context: &Context, row: DueDelivery) -> Option<DeliveryMessage> {
    let question = || {
        context
            .directory
            .profile(&row.profile, row.profile_version.unsigned_abs())
    };
    let profile = ask(context, "reading a profile", question).await?;
    let (Some(profile), Some(data)) = (profile, &row.data) else {
        let reason = "its event's data or its profile is no longer kept";
        let rows = [(row.tenant.clone(), row.id.clone())];
        let now = context.clock.now();
        ask(context, "discarding a delivery", || {
            context.store.discard(&rows, reason, now)
        })
        .await?;
        return None;
    };
    let event = EventParts {
        id: row.event_id.as_str(),
        event_type: row.event_type.as_str(),
        tenant: row.tenant.as_str(),
        occurred_at: row.occurred_at,
    };
    let body = profile.wire.render_body(&event, data);
    Some(DeliveryMessage {
        attempt: row.state.next_number,
        retries_used: row.state.retries_used,
        trigger: row.state.trigger,
        due_at: row
            .state
            .next_attempt_at
            .map_or(DateTime::UNIX_EPOCH, dispatch::whole_millis),
        occurred_at: row.occurred_at,
        profile_version: row.profile_version.unsigned_abs(),
        lease: None,
        body,
        tenant: row.tenant,
        event_id: row.event_id,
        endpoint_id: row.endpoint_id,
        delivery_id: row.id,
        event_type: row.event_type,
        profile: row.profile,
        traceparent: row.traceparent,
    })
}
