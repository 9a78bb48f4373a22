//! Writes what attempts gave: commit, then publish what follows, then ack. In this order, always.
//!
//! Many attempts share one transaction (group commit): a batch is what has arrived while the last
//! one was being written. While the database is away the recorder keeps trying; what it holds is
//! bounded by the prefetch windows, and no ack goes out.

mod rows;

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use signpost_broker::DeliveryMessage;
use signpost_domain::{DeliveryStatus, EndpointStatus, NextStep, OperatorEvent, Trigger};
use signpost_runtime::{crash_point, sabotaged};
use signpost_store::Settled as Written;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    announce::{self, announce},
    attempt::{OpenDelivery, Settled},
    context::Context,
    dispatch, ledger, probe,
    ticket::Ticket,
};

/// Most entries of one transaction.
const MAX_BATCH: usize = 500;
/// Entries that may wait for the next transaction.
const QUEUE: usize = 2_000;

/// Something to be written.
#[derive(Debug)]
pub(crate) enum Entry {
    /// What an attempt gave.
    Attempt(Box<Settled>),
    /// A delivery that is put off.
    Deferral {
        open: Box<OpenDelivery>,
        due_at: DateTime<Utc>,
    },
    /// A delivery that ends or waits without an attempt.
    Parked {
        open: Box<OpenDelivery>,
        parking: Parking,
    },
    /// A probe, published at this time, that has come this far.
    Probe {
        sent_at: DateTime<Utc>,
        ticket: Ticket,
    },
}

/// How a delivery is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Parking {
    /// Until its endpoint is active again.
    Hold,
    /// For ever, for this reason.
    Discard(&'static str),
}

/// The way to the recorder's task.
#[derive(Debug, Clone)]
pub struct Recorder {
    entries: mpsc::Sender<Entry>,
}

impl Recorder {
    /// A handle, and the queue that [`run`] reads.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Entry>) {
        let (entries, queue) = mpsc::channel(QUEUE);
        (Self { entries }, queue)
    }

    /// Records an attempt.
    pub(crate) async fn record(&self, settled: Settled) {
        self.send(Entry::Attempt(Box::new(settled))).await;
    }

    /// Puts a delivery off until `due_at`.
    pub(crate) async fn defer(&self, open: OpenDelivery, due_at: DateTime<Utc>) {
        self.send(Entry::Deferral {
            open: Box::new(open),
            due_at,
        })
        .await;
    }

    /// Holds a delivery of a paused endpoint.
    pub(crate) async fn hold(&self, open: OpenDelivery) {
        self.send(Entry::Parked {
            open: Box::new(open),
            parking: Parking::Hold,
        })
        .await;
    }

    /// Ends a delivery that will not be sent.
    pub(crate) async fn discard(&self, open: OpenDelivery, reason: &'static str) {
        self.send(Entry::Parked {
            open: Box::new(open),
            parking: Parking::Discard(reason),
        })
        .await;
    }

    /// Notes that a probe has arrived.
    pub(crate) async fn probe(&self, sent_at: DateTime<Utc>, ticket: Ticket) {
        self.send(Entry::Probe { sent_at, ticket }).await;
    }

    async fn send(&self, entry: Entry) {
        if self.entries.send(entry).await.is_err() {
            // Only after a forced stop. Nothing was acked, so the broker brings it back.
            tracing::warn!("the recorder has stopped; the delivery stays unacked");
        }
    }
}

/// Writes entries until `stop` is cancelled and the queue is empty.
pub(crate) async fn run(
    context: Arc<Context>,
    mut queue: mpsc::Receiver<Entry>,
    stop: CancellationToken,
) {
    while let Some(batch) = ledger::next_batch(&mut queue, MAX_BATCH, &stop).await {
        write(&context, batch).await;
    }
}

async fn write(context: &Arc<Context>, batch: Vec<Entry>) {
    let started = dispatch::monotonic_now();
    let (mut attempts, mut deferrals) = (Vec::new(), Vec::new());
    let mut parked: HashMap<Parking, Vec<OpenDelivery>> = HashMap::new();
    let mut probes = Vec::new();
    for entry in batch {
        match entry {
            Entry::Attempt(settled) => attempts.push(*settled),
            Entry::Deferral { open, due_at } => deferrals.push((*open, due_at)),
            Entry::Parked { open, parking } => parked.entry(parking).or_default().push(*open),
            Entry::Probe { sent_at, ticket } => probes.push((sent_at, ticket)),
        }
    }
    if !attempts.is_empty() {
        write_attempts(context, attempts).await;
    }
    if !deferrals.is_empty() {
        write_deferrals(context, deferrals).await;
    }
    for (parking, deliveries) in parked {
        write_parked(context, deliveries, parking).await;
    }
    for (sent_at, ticket) in probes {
        probe::record(context, sent_at, ticket);
    }
    let took = dispatch::monotonic_now().saturating_duration_since(started);
    context.metrics.ledger_write.observe(took.as_secs_f64());
}

async fn write_attempts(context: &Arc<Context>, attempts: Vec<Settled>) {
    let settlements: Vec<_> = attempts.iter().map(rows::settlement).collect();
    let written = ledger::ask(context, "recording attempts", || {
        context.store.settle(&settlements)
    })
    .await;
    match written {
        Some(results) => {
            for (settled, result) in attempts.into_iter().zip(results) {
                follow(context, settled, result);
            }
        }
        None if context.lifecycle.is_stopping() => {}
        // One of them cannot be stored. The others must not suffer for it.
        None => {
            for settled in attempts {
                write_one(context, settled).await;
            }
        }
    }
}

/// Writes one attempt; what the receiver sent is left out when the database will not take it.
async fn write_one(context: &Arc<Context>, settled: Settled) {
    for settlement in [rows::settlement(&settled), rows::bare_settlement(&settled)] {
        let settlements = [settlement];
        let written = ledger::ask(context, "recording an attempt", || {
            context.store.settle(&settlements)
        })
        .await;
        if let Some(result) = written.and_then(|results| results.into_iter().next()) {
            follow(context, settled, result);
            return;
        }
    }
    tracing::error!(delivery.id = %settled.open.message.delivery_id, "attempt cannot be recorded; it stays unacked");
}

/// The attempt is in the ledger: publish the retry, then ack.
fn follow(context: &Arc<Context>, settled: Settled, result: Written) {
    let message = &settled.open.message;
    tracing::debug!(
        tenant.id = %message.tenant,
        event.id = %message.event_id,
        event.r#type = %message.event_type,
        endpoint.id = %message.endpoint_id,
        delivery.id = %message.delivery_id,
        attempt.no = message.attempt,
        outcome = %settled.judged.outcome,
        status = settled.judged.status_code,
        duration_ms = u64::try_from(settled.duration.as_millis()).unwrap_or(u64::MAX),
        next = ?settled.next,
        "delivery.attempted"
    );
    crash_point("after-commit-before-ack");
    let number = match result {
        Written::Done { number } => number,
        // Another process had settled this attempt before: what follows is its business.
        Written::Late { .. } | Written::Gone => return settled.open.ticket.done(),
    };
    let succeeded = settled.next == NextStep::Succeed;
    context.health.saw(
        &message.tenant,
        &message.endpoint_id,
        succeeded,
        settled.finished_at,
    );
    match &settled.next {
        NextStep::Succeed => context.metrics.count_finished(DeliveryStatus::Succeeded, 1),
        NextStep::Fail { reason } | NextStep::FailAndDisable { reason } => {
            context.metrics.count_finished(DeliveryStatus::Failed, 1);
            let reason = reason.clone();
            return fail(context, settled, number, reason);
        }
        NextStep::RetryAt { at, .. } => {
            let at = *at;
            return retry(context, settled, at);
        }
    }
    settled.open.ticket.done();
}

fn retry(context: &Arc<Context>, settled: Settled, at: DateTime<Utc>) {
    let OpenDelivery {
        mut message,
        mut ticket,
        ..
    } = settled.open;
    if !sabotaged("attempt-number-reused") {
        message.attempt += 1;
    }
    message.retries_used += 1;
    message.trigger = Trigger::Retry;
    message.due_at = dispatch::whole_millis(at);
    let delay = (at - settled.finished_at).to_std().unwrap_or_default();
    context.metrics.count_retry(context.tiers.pick(delay));
    let task_context = Arc::clone(context);
    context.work("publish retry", async move {
        if sabotaged("ack-before-retry") {
            ticket.done_too_early().await;
        }
        crash_point("before-retry-publish");
        if dispatch::publish_until_confirmed(&task_context, message).await {
            crash_point("after-retry-publish");
            ticket.done();
        }
    });
}

/// The delivery has failed for good, which its tenant hears of; so has its endpoint, if the
/// receiver said so.
fn fail(context: &Arc<Context>, settled: Settled, attempt_count: u32, reason: String) {
    let context = Arc::clone(context);
    let task_context = Arc::clone(&context);
    context.work("end a failed delivery", async move {
        let (context, message) = (task_context, &settled.open.message);
        let tenant = &message.tenant;
        if matches!(settled.next, NextStep::FailAndDisable { .. }) {
            let Some(is_news) = disable(&context, message, &reason).await else {
                return;
            };
            if is_news {
                let event = OperatorEvent::EndpointDisabled {
                    endpoint_id: message.endpoint_id.clone(),
                    reason: reason.clone(),
                };
                announce(&context, tenant, &event).await;
            }
        }
        let status = settled.judged.status_code;
        announce::delivery_failed(&context, message, attempt_count, status, reason).await;
        settled.open.ticket.done();
    });
}

/// Disables the delivery's endpoint. `None`: the process is stopping.
async fn disable(context: &Context, message: &DeliveryMessage, reason: &str) -> Option<bool> {
    ledger::ask(context, "disabling an endpoint", || {
        let now = context.clock.now();
        let (tenant, id) = (&message.tenant, &message.endpoint_id);
        let disabled = EndpointStatus::Disabled;
        context
            .store
            .set_endpoint_status(tenant, id, disabled, Some(reason), now)
    })
    .await
}

async fn write_deferrals(context: &Arc<Context>, deferrals: Vec<(OpenDelivery, DateTime<Utc>)>) {
    let due = |(open, due_at): &(OpenDelivery, DateTime<Utc>)| {
        (
            open.message.tenant.clone(),
            open.message.delivery_id.clone(),
            *due_at,
        )
    };
    let rows: Vec<_> = deferrals.iter().map(due).collect();
    if ledger::ask(context, "recording deferrals", || {
        context.store.defer(&rows)
    })
    .await
    .is_none()
    {
        return;
    }
    for (open, _) in deferrals {
        let task_context = Arc::clone(context);
        context.work("publish deferral", async move {
            if dispatch::publish_until_confirmed(&task_context, open.message).await {
                open.ticket.done();
            }
        });
    }
}

/// Deliveries that are parked for one reason, in one statement.
async fn write_parked(context: &Arc<Context>, parked: Vec<OpenDelivery>, parking: Parking) {
    let row = |open: &OpenDelivery| {
        (
            open.message.tenant.clone(),
            open.message.delivery_id.clone(),
        )
    };
    let rows: Vec<_> = parked.iter().map(row).collect();
    let written = match parking {
        Parking::Hold => {
            ledger::ask(context, "holding deliveries", || {
                context.store.hold(&rows, "the endpoint is paused")
            })
            .await
        }
        Parking::Discard(reason) => {
            let now = context.clock.now();
            ledger::ask(context, "discarding deliveries", || {
                context.store.discard(&rows, reason, now)
            })
            .await
        }
    };
    let Some(changed) = written else { return };
    if parking != Parking::Hold {
        context
            .metrics
            .count_finished(DeliveryStatus::Discarded, changed);
    }
    for open in parked {
        open.ticket.done();
    }
}
