//! The consumer of `signpost.deliveries`: retries, deferred deliveries, and what fan-out could not
//! start at once.

use std::{sync::Arc, time::Duration};

use signpost_broker::{Consumer, DeliveryMessage, Incoming, ProbeMessage, topology::DELIVERIES};
use signpost_domain::EndpointStatus;
use signpost_store::{AttemptClaim, Claim, StoreError};

use crate::{
    attempt::OpenDelivery,
    context::Context,
    directory::{EndpointEntry, LoadedProfile},
    dispatch,
    fanout::lease,
    ledger,
    metrics::Deferral,
    probe, reject,
    ticket::Ticket,
};

/// Most messages taken at once.
const MAX_BATCH: usize = 200;
/// Longest wait in the process for a delivery that is nearly due: just above the shortest tier.
const NEARLY_DUE: Duration = Duration::from_millis(1_100);

/// Consumes deliveries until the process stops; then hands back what it has not begun.
pub async fn run(context: Arc<Context>, mut deliveries: Consumer) {
    // A stop waits for this loop before it takes the work that it starts for complete.
    let taking = context.work.token();
    while let Some(arrived) = deliveries.recv_many(MAX_BATCH).await {
        for message in arrived {
            begin(&context, message);
        }
    }
    drop(taking);
    // What is under way acks through this channel.
    context.settled().await;
    deliveries.close().await;
}

fn begin(context: &Arc<Context>, incoming: Incoming) {
    if let Some(probe) = ProbeMessage::from_deliveries(&incoming) {
        return probe::arrive(context, probe, incoming.ack);
    }
    let message = match DeliveryMessage::decode(&incoming) {
        Ok(message) => message,
        Err(rejection) => {
            reject::in_background(context, incoming, rejection, DELIVERIES);
            return;
        }
    };
    let open = OpenDelivery {
        message,
        ticket: Ticket::Message(incoming.ack),
        accepted_at: None,
    };
    let task_context = Arc::clone(context);
    // It may wait, and asks the ledger: not on the consumer's own time.
    context.work("delivery", async move {
        when_due(&task_context, open).await;
    });
}

async fn when_due(context: &Arc<Context>, mut open: OpenDelivery) {
    if let Ok(remaining) = (open.message.due_at - context.clock.now()).to_std() {
        if remaining > NEARLY_DUE.mul_f64(context.tiers.scale()) {
            if dispatch::publish_until_confirmed(context, open.message).await {
                open.ticket.done();
            }
            return;
        }
        tokio::time::sleep(remaining).await;
    }
    let claim = claim(context, &open.message).await;
    // Taken over, or over.
    open.message.lease = None;
    match claim {
        Some(Claim::Ours) => attempt(context, open).await,
        Some(Claim::Over) => open.ticket.done(),
        Some(Claim::Poison) => reject::poison(context, open).await,
        Some(Claim::NotBefore(at)) => {
            context.metrics.count_deferred(Deferral::Redelivered);
            open.message.due_at = dispatch::whole_millis(at);
            if dispatch::publish_until_confirmed(context, open.message).await {
                open.ticket.done();
            }
        }
        // Stopping: the message stays unacked and comes back elsewhere.
        None => {}
    }
}

/// Asks the ledger for this very attempt. There may be several messages for it: redelivered while
/// the process that had it before is still at work, published again for lack of an answer, brought
/// back by the reconciler. One of them gets it, whichever comes first.
async fn claim(context: &Context, message: &DeliveryMessage) -> Option<Claim> {
    let timeout = dispatch::attempt_timeout(context, message).await;
    let attempt = AttemptClaim {
        tenant: message.tenant.clone(),
        delivery_id: message.delivery_id.clone(),
        number: message.attempt,
        instead_of: message.lease,
        lease: lease(timeout),
    };
    context.claims.ask(attempt).await
}

async fn attempt(context: &Arc<Context>, open: OpenDelivery) {
    let message = &open.message;
    let question = || context.directory.tenant(&message.tenant);
    // Stopping: the message stays unacked and comes back elsewhere.
    let Some(found) = ledger::ask(context, "reading subscriptions", question).await else {
        return;
    };
    let Some(tenant) = found else {
        context
            .recorder
            .discard(open, "the tenant was deleted")
            .await;
        return;
    };
    let Some(endpoint) = tenant.endpoint(&message.endpoint_id) else {
        context
            .recorder
            .discard(open, "the endpoint was deleted")
            .await;
        return;
    };
    match endpoint.status {
        EndpointStatus::Active => {}
        EndpointStatus::Paused => return context.recorder.hold(open).await,
        EndpointStatus::Disabled => {
            return context
                .recorder
                .discard(open, "the endpoint is disabled")
                .await;
        }
    }
    let question = || profile_of(context, endpoint, message);
    let Some(found) = ledger::ask(context, "reading a profile", question).await else {
        return;
    };
    let Some(profile) = found else {
        context
            .recorder
            .discard(open, "its profile was deleted")
            .await;
        return;
    };
    let verdict = context
        .gates
        .admit(&endpoint.id, endpoint.rate_limit, dispatch::monotonic_now());
    dispatch::start(context, open, &tenant, endpoint, profile, verdict);
}

/// The profile that the delivery was made with.
async fn profile_of(
    context: &Context,
    endpoint: &Arc<EndpointEntry>,
    message: &DeliveryMessage,
) -> Result<Option<Arc<LoadedProfile>>, StoreError> {
    let current = &endpoint.profile;
    if current.name == message.profile && current.version == message.profile_version {
        return Ok(Some(Arc::clone(current)));
    }
    context
        .directory
        .profile(&message.profile, message.profile_version)
        .await
}
