//! Fan-out: takes events from the queue, finds who wants them, makes deliveries.
//!
//! One batch is what has arrived, up to a few hundred events, never waiting for more. One
//! transaction inserts the batch; then each delivery starts at once or is published. An event is
//! acked when each of its deliveries is settled or published. Never acks before the commit. What
//! the broker hands out again is fanned out with care ([`suspect`]).

mod batch;
mod insert;
mod plan;
mod suspect;

use std::{sync::Arc, time::Duration};

use signpost_broker::{
    Consumer, EventMessage, Incoming, ProbeMessage, RejectReason, Rejection, topology::EVENTS,
};

use signpost_runtime::{crash_point, sabotaged};

use crate::{
    context::Context,
    dispatch, ledger, probe, reject,
    ticket::{self, Ticket},
};

use batch::{Arrived, Planned};
use insert::Inserted;

/// Most events of one transaction.
const MAX_BATCH: usize = 500;

/// Consumes events until the process stops.
pub(crate) async fn run(context: Arc<Context>, mut events: Consumer) {
    // A stop waits for this loop before it takes the work that it starts for complete.
    let taking = context.work.token();
    while let Some(arrived) = events.recv_many(MAX_BATCH).await {
        let (again, fresh): (Vec<_>, Vec<_>) = arrived
            .into_iter()
            .partition(|message: &Incoming| message.redelivered);
        fan_out(&context, fresh).await;
        suspect::fan_out(&context, again).await;
    }
    drop(taking);
    // What is under way acks through this channel.
    context.settled().await;
    events.close().await;
}

async fn fan_out(context: &Arc<Context>, mut messages: Vec<Incoming>) {
    if sabotaged("ack-before-commit") {
        ticket::ack_too_early(&mut messages).await;
    }
    let mut arrived = Vec::with_capacity(messages.len());
    let mut probes = Vec::new();
    for message in messages {
        if let Some(probe) = ProbeMessage::from_events(&message) {
            probes.push((probe, message.ack));
            continue;
        }
        match EventMessage::decode(&message, context.max_event_bytes) {
            Ok(event) => arrived.push(Arrived::new(event, message, context.clock.now())),
            Err(rejection) => reject::in_background(context, message, rejection, EVENTS),
        }
    }
    insert_and_start(context, arrived).await;
    // Behind the events that they came with: they show how late those are.
    for (probe, ack) in probes {
        probe::pass_on(context, probe, ack);
    }
}

async fn insert_and_start(context: &Arc<Context>, arrived: Vec<Arrived>) {
    let Some(planned) = batch::plan(context, arrived).await else {
        return;
    };
    if planned.is_empty() {
        return;
    }
    crash_point("before-fan-out-commit");
    let Some(results) = insert::insert(context, &planned).await else {
        return;
    };
    crash_point("after-fan-out-commit");
    for (planned, result) in planned.into_iter().zip(results) {
        crash_point("mid-fan-out");
        match result {
            Inserted::New => start(context, planned),
            Inserted::Repeat { perhaps_ours } => repeat(context, planned.arrived, perhaps_ours),
            Inserted::IdReused => {
                let detail = "the id was used before, for an event with other content";
                reject::in_background(
                    context,
                    planned.arrived.message,
                    Rejection::new(RejectReason::IdReused, detail),
                    EVENTS,
                );
            }
            Inserted::Refused(detail) => {
                reject::in_background(
                    context,
                    planned.arrived.message,
                    Rejection::new(RejectReason::BadJson, detail),
                    EVENTS,
                );
            }
        }
    }
}

/// The event is in the ledger: its deliveries begin.
fn start(context: &Arc<Context>, planned: Planned) {
    let Planned {
        arrived,
        tenant,
        deliveries,
        ..
    } = planned;
    if arrived.came_over_amqp() {
        context.metrics.count_accepted_over_amqp();
    }
    context
        .metrics
        .fanout_deliveries
        .inc_by(deliveries.len() as u64);
    let accepted_at = Some(arrived.accepted_at());
    let Arrived {
        event,
        traceparent,
        message,
        ..
    } = arrived;
    let pending = deliveries
        .iter()
        .filter(|delivery| delivery.is_pending())
        .count();
    let mut tickets = Ticket::divide(message.ack, pending).into_iter();
    for delivery in deliveries {
        if delivery.status.is_final() {
            context.metrics.count_finished(delivery.status, 1);
        }
        if !delivery.is_pending() {
            continue;
        }
        let message = plan::first_message(&event, traceparent.as_deref(), &delivery);
        // There is a ticket for each pending delivery.
        let Some(ticket) = tickets.next() else { return };
        dispatch::first_attempt(
            context,
            message,
            ticket,
            accepted_at,
            &tenant,
            &delivery.endpoint,
        );
    }
}

/// The event was there already. A publisher's repeat delivers nothing again. But if the *broker*
/// delivered it again, a worker may have died between the commit and its deliveries' start: those
/// that have not ended are published again, due when that worker's time is up.
fn repeat(context: &Arc<Context>, arrived: Arrived, perhaps_ours: bool) {
    context.metrics.repeats.inc();
    if !arrived.message.redelivered && !perhaps_ours {
        arrived.message.ack.ack();
        return;
    }
    let task_context = Arc::clone(context);
    context.work("publish unfinished deliveries", async move {
        let (context, event) = (task_context, arrived.event);
        let question = || {
            context
                .store
                .unfinished_deliveries(&event.tenant, &event.id)
        };
        let Some(unfinished) =
            ledger::ask(&context, "reading unfinished deliveries", question).await
        else {
            return;
        };
        for row in unfinished {
            if !ledger::publish_again(&context, row).await {
                return;
            }
        }
        arrived.message.ack.ack();
    });
}

/// The time by which an attempt with this timeout has ended, or its worker is gone.
pub(crate) fn lease(timeout: Duration) -> Duration {
    timeout + Duration::from_secs(5)
}
