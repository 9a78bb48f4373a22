//! Messages that cannot be worked on go whole to `signpost.rejected`, with the reason; never in
//! the way of the next one.

use std::sync::Arc;

use signpost_broker::{Incoming, RejectReason, RejectedMessage, Rejection, topology::DELIVERIES};
use signpost_domain::DeliveryStatus;

use crate::{announce, attempt::OpenDelivery, context::Context, dispatch, ledger};

/// Rejects a message without waiting.
pub(crate) fn in_background(
    context: &Arc<Context>,
    message: Incoming,
    rejection: Rejection,
    source_queue: &'static str,
) {
    let task_context = Arc::clone(context);
    context.work("reject", async move {
        reject(&task_context, message, rejection, source_queue).await;
    });
}

/// Publishes the message to `signpost.rejected` and acks it when that is confirmed.
pub(crate) async fn reject(
    context: &Context,
    message: Incoming,
    rejection: Rejection,
    source_queue: &'static str,
) {
    context.metrics.count_rejected(rejection.reason);
    tracing::warn!(%rejection, routing_key = message.routing_key, "message rejected");
    let now = context.clock.now();
    let publish = RejectedMessage::wrap(&message, &rejection, source_queue, now, rand::random());
    if dispatch::publish_confirmed(context, publish).await {
        message.ack.ack();
    }
}

/// Parks a delivery whose attempt was begun several times, each time by a worker that died. Its
/// message goes to `signpost.rejected`, so that a person can see what it was; the delivery has
/// failed.
pub(crate) async fn poison(context: &Arc<Context>, open: OpenDelivery) {
    let reason = "its attempt was begun again and again, and each time the worker died";
    let message = &open.message;
    let rejection = Rejection::new(RejectReason::CrashedWorker, reason);
    context.metrics.count_rejected(rejection.reason);
    tracing::error!(
        tenant.id = %message.tenant,
        delivery.id = %message.delivery_id,
        "a delivery seems to kill its workers: it is parked in signpost.rejected"
    );
    let now = context.clock.now();
    let publish = RejectedMessage::wrap_published(
        message.to_deliveries(),
        &rejection,
        DELIVERIES,
        now,
        rand::random(),
    );
    if !dispatch::publish_confirmed(context, publish).await {
        return;
    }
    let question = || {
        context
            .store
            .fail(&message.tenant, &message.delivery_id, reason, now)
    };
    let Some(is_news) = ledger::ask(context, "ending a delivery", question).await else {
        return;
    };
    if is_news {
        context.metrics.count_finished(DeliveryStatus::Failed, 1);
        let made = message.attempt.saturating_sub(1);
        announce::delivery_failed(context, message, made, None, reason.to_owned()).await;
    }
    open.ticket.done();
}
