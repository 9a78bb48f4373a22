//! Messages that cannot be worked on go whole to `signpost.rejected`, with the reason; never in
//! the way of the next one.

use std::sync::Arc;

use signpost_broker::{Incoming, RejectedMessage, Rejection};

use crate::{context::Context, dispatch};

/// Publishes the message to `signpost.rejected` and acks it when that is confirmed.
pub(crate) fn in_background(
    context: &Arc<Context>,
    message: Incoming,
    rejection: Rejection,
    source_queue: &'static str,
) {
    context.metrics.count_rejected(rejection.reason);
    tracing::warn!(%rejection, routing_key = message.routing_key, "message rejected");
    let task_context = Arc::clone(context);
    context.work("reject", async move {
        let now = task_context.clock.now();
        let publish =
            RejectedMessage::wrap(&message, &rejection, source_queue, now, rand::random());
        if dispatch::publish_confirmed(&task_context, publish).await {
            message.ack.ack();
        }
    });
}
