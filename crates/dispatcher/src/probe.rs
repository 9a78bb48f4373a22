//! The probe: a message of our own that goes the whole way every few seconds. Its age says whether
//! deliveries get through, whatever each part says of itself.
//!
//! The replica that reconciles publishes it to `signpost.events`. Fan-out passes it on, behind the
//! events that it came with, through `signpost.deliveries`. There it waits for a place among the
//! attempts, and the recorder writes its time into the ledger, where all replicas read it. The
//! request alone is left out: a probe has no URL, and no rule about addresses an exception. It
//! belongs to no tenant, and no list, count or other metric shows it.

mod age;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use signpost_broker::{Ack, ProbeMessage};
use signpost_runtime::error_chain;

use crate::{context::Context, dispatch, ticket::Ticket};

pub use age::{Newest, ProbeAge};

/// Publishes probes, while this replica leads, and reads how far they have come.
pub(crate) async fn run(context: Arc<Context>, every: Duration) {
    let token = context.lifecycle.token();
    while !token.is_cancelled() {
        if context.is_leader() {
            send(&context).await;
        }
        match context.store.newest_probe().await {
            Ok(Some(sent_at)) => context.newest_probe.saw(sent_at),
            Ok(None) => {}
            Err(error) => tracing::debug!(error = %error_chain(&error), "probes cannot be read"),
        }
        tokio::select! {
            // Cancel-safe: nothing is lost with a pause.
            () = tokio::time::sleep(every) => {}
            () = token.cancelled() => {}
        }
    }
}

/// Tried once: the next one is as good.
async fn send(context: &Context) {
    let probe = ProbeMessage {
        sent_at: context.clock.now(),
    };
    let published = context.publisher.publish_confirmed(probe.to_events()).await;
    if let Err(error) = published {
        tracing::debug!(%error, "a probe was not published");
    }
}

/// From fan-out to the deliveries.
pub(crate) fn pass_on(context: &Arc<Context>, probe: ProbeMessage, ack: Ack) {
    let task_context = Arc::clone(context);
    context.work("pass a probe on", async move {
        if dispatch::publish_confirmed(&task_context, probe.to_deliveries()).await {
            ack.ack();
        }
    });
}

/// Takes the place of an attempt, and records it instead of making one.
pub(crate) fn arrive(context: &Arc<Context>, probe: ProbeMessage, ack: Ack) {
    let task_context = Arc::clone(context);
    context.work("probe", async move {
        let place = task_context.gates.any_place().await;
        let ticket = Ticket::Message(ack);
        task_context.recorder.probe(probe.sent_at, ticket).await;
        drop(place);
    });
}

/// Behind the entries that the recorder had before. In a task of its own: what ails the probes' row
/// must not hold up the record.
pub(crate) fn record(context: &Arc<Context>, sent_at: DateTime<Utc>, ticket: Ticket) {
    let task_context = Arc::clone(context);
    context.work("record a probe", async move {
        match task_context.store.note_probe(sent_at).await {
            Ok(()) => task_context.newest_probe.saw(sent_at),
            Err(error) => tracing::debug!(error = %error_chain(&error), "a probe was not recorded"),
        }
        // In any case: the next one is as good.
        ticket.done();
    });
}
