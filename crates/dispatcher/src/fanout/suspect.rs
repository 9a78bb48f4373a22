//! Events that the broker hands out again: one of them may be what their last worker died of.
//!
//! Called by fan-out for each of them, one at a time. An event is noted in the database before it
//! is worked on, and the note is removed after, so a note that is found is a death. What is handed
//! out for the first time costs nothing of this.

use std::sync::Arc;

use signpost_broker::{Incoming, RejectReason, Rejection, topology::EVENTS};

use crate::{context::Context, ledger, reject};

/// How many workers may have died with an event in their hands alone. One more died before, with
/// the event among others.
const MAX_DEATHS: u16 = 2;

/// Fans out an event that was handed out before, or parks it in `signpost.rejected`.
pub(super) async fn fan_out(context: &Arc<Context>, message: Incoming) {
    if context.lifecycle.is_stopping() {
        message.ack.requeue();
        return;
    }
    let fingerprint = message.fingerprint();
    let note = || {
        let now = context.clock.now();
        context.store.note_suspect(&fingerprint, now)
    };
    match ledger::ask(context, "noting a suspect", note).await {
        Some(notes) if notes > MAX_DEATHS => park(context, message).await,
        None if context.lifecycle.is_stopping() => return,
        // Without a note there is only no protection.
        Some(_) | None => super::fan_out(context, vec![message]).await,
    }
    let clear = || context.store.clear_suspect(&fingerprint);
    // A note that stays is forgotten after a day.
    let _cleared = ledger::ask(context, "clearing a suspect", clear).await;
}

async fn park(context: &Arc<Context>, message: Incoming) {
    let detail = "its fan-out was begun again and again, and each time the worker died";
    tracing::error!(
        routing_key = message.routing_key,
        event.id = message.properties.message_id(),
        "an event seems to kill its workers: it is parked in signpost.rejected"
    );
    let rejection = Rejection::new(RejectReason::CrashedWorker, detail);
    reject::reject(context, message, rejection, EVENTS).await;
}
