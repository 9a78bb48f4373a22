//! Events that the broker hands out again: one of them may be what their last worker died of.
//!
//! Called by fan-out with all of them. A few at a time are noted in the database before they are
//! worked on, and the notes are removed after: a note that is found is a death. Events with a note
//! are worked on alone, so that the guilty one is known after a while. What is handed out for the
//! first time costs nothing of this.

use std::sync::Arc;

use signpost_broker::{Incoming, RejectReason, Rejection, topology::EVENTS};
use signpost_store::Fingerprint;

use crate::{context::Context, ledger, reject};

/// How many are worked on together. After a death each of them is worked on alone.
const GROUP: usize = 20;
/// How many workers may have died with an event noted: the first of them with its group, the
/// others with it alone. One more died before, when the event was new.
const MAX_DEATHS: u16 = 3;

/// Fans out events that were handed out before, or parks them in `signpost.rejected`.
pub(super) async fn fan_out(context: &Arc<Context>, messages: Vec<Incoming>) {
    let mut messages = messages.into_iter().peekable();
    while messages.peek().is_some() {
        let group: Vec<_> = messages.by_ref().take(GROUP).collect();
        if context.lifecycle.is_stopping() {
            for message in group {
                message.ack.requeue();
            }
        } else {
            fan_out_group(context, group).await;
        }
    }
}

async fn fan_out_group(context: &Arc<Context>, group: Vec<Incoming>) {
    let fingerprints: Vec<_> = group.iter().map(Incoming::fingerprint).collect();
    let question = || context.store.suspects(&fingerprints);
    // Without an answer there is no protection, or the process is stopping.
    let deaths = ledger::ask(context, "reading suspects", question).await;
    let deaths = deaths.unwrap_or_default();
    let (mut unsuspected, mut suspected) = (Vec::new(), Vec::new());
    for (message, fingerprint) in group.into_iter().zip(fingerprints) {
        match deaths.get(&fingerprint) {
            None => unsuspected.push((message, fingerprint)),
            Some(deaths) => suspected.push((message, fingerprint, *deaths)),
        }
    }
    if !unsuspected.is_empty() {
        let (messages, fingerprints): (Vec<_>, Vec<_>) = unsuspected.into_iter().unzip();
        fan_out_noted(context, messages, &fingerprints).await;
    }
    for (message, fingerprint, deaths) in suspected {
        if deaths < MAX_DEATHS {
            fan_out_noted(context, vec![message], &[fingerprint]).await;
        } else {
            park(context, message).await;
            clear(context, &[fingerprint]).await;
        }
    }
}

async fn fan_out_noted(
    context: &Arc<Context>,
    messages: Vec<Incoming>,
    fingerprints: &[Fingerprint],
) {
    let note = || {
        let now = context.clock.now();
        context.store.note_suspects(fingerprints, now)
    };
    let noted = ledger::ask(context, "noting suspects", note).await;
    if noted.is_none() && context.lifecycle.is_stopping() {
        return;
    }
    super::fan_out(context, messages).await;
    clear(context, fingerprints).await;
}

async fn clear(context: &Context, fingerprints: &[Fingerprint]) {
    let clear = || context.store.clear_suspects(fingerprints);
    // Notes that stay are forgotten after a day.
    let _cleared = ledger::ask(context, "clearing suspects", clear).await;
}

async fn park(context: &Context, message: Incoming) {
    let detail = "its fan-out was begun again and again, and each time the worker died";
    tracing::error!(
        routing_key = message.routing_key,
        event.id = message.properties.message_id(),
        "an event seems to kill its workers: it is parked in signpost.rejected"
    );
    let rejection = Rejection::new(RejectReason::CrashedWorker, detail);
    reject::reject(context, message, rejection, EVENTS).await;
}
