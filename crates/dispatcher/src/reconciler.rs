//! The reconciler: what the ledger says is due and the broker has lost is published again.
//!
//! One replica at a time (an advisory lock). It only acts while `signpost.deliveries` is nearly
//! empty: with a backlog, what is overdue is waiting, not lost. Its copies ask the ledger before
//! they are attempted, so that one too many does no harm. The same loop sends what paused
//! endpoints held, and gives up what deleted ones were owed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use signpost_broker::{Broker, topology::DELIVERIES};
use signpost_runtime::{crash_point, sabotaged};
use signpost_store::{DueDelivery, ReconcilerLock, StoreError};

use crate::{context::Context, ledger};

/// The time between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// How long overdue a delivery is before it counts as lost.
const OVERDUE: TimeDelta = TimeDelta::seconds(15);
/// A published copy has this long before the next one.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Deliveries published again in one round.
const PER_ROUND: u32 = 1_000;
/// Held deliveries of one endpoint that are sent in one round after it has become active.
const HELD_PER_ROUND: u32 = 100;
/// Messages waiting in `signpost.deliveries` above which nothing is taken for lost.
const BACKLOG: u32 = 2_000;

/// Reconciles until the process stops.
pub(crate) async fn run(context: Arc<Context>, broker: Broker) {
    let token = context.lifecycle.token();
    let (mut lock, mut back_at) = (None, None);
    while !token.is_cancelled() {
        if let Err(error) = round(&context, &broker, &mut lock, &mut back_at).await {
            // Attempts were made meanwhile that their recorders have yet to write.
            back_at = Some(context.clock.now());
            tracing::warn!(error = %signpost_runtime::error_chain(&error), "reconciling failed for now");
        }
        tokio::select! {
            // Cancel-safe: nothing is lost with a pause.
            () = tokio::time::sleep(ROUND) => {}
            () = token.cancelled() => {}
        }
    }
    if let Some(lock) = lock {
        lock.release().await;
    }
}

async fn round(
    context: &Arc<Context>,
    broker: &Broker,
    lock: &mut Option<ReconcilerLock>,
    back_at: &mut Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let now = context.clock.now();
    if !context.publisher.is_up() {
        *back_at = Some(now);
    }
    let still_ours = match lock {
        Some(lock) => lock.is_held().await,
        None => false,
    };
    if !still_ours {
        context.leads.store(false, Ordering::Relaxed);
        *lock = context.store.try_reconciler_lock().await?;
    }
    context.leads.store(lock.is_some(), Ordering::Relaxed);
    if lock.is_none() {
        return Ok(());
    }
    context.store.discard_of_deleted(now, PER_ROUND).await?;
    // Without an answer from the broker nothing can be published either.
    match broker.depth(DELIVERIES).await {
        Ok(Some(depth)) if depth.ready <= BACKLOG => {}
        Ok(_) | Err(_) => return Ok(()),
    }
    if sabotaged("reconciler-off") {
        return Ok(());
    }
    // After an outage everything is overdue, and most of it is on its way.
    if back_at.is_none_or(|back_at| now - back_at > OVERDUE) {
        bring_back(context, now).await?;
    }
    let held = context
        .store
        .claim_held_of_active_endpoints(now, HELD_PER_ROUND, LEASE)
        .await?;
    publish(context, held).await;
    Ok(())
}

/// Publishes what is overdue.
async fn bring_back(context: &Arc<Context>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let overdue = context
        .store
        .claim_overdue(now, OVERDUE, PER_ROUND, LEASE)
        .await?;
    context.metrics.reconciled.inc_by(overdue.len() as u64);
    if !overdue.is_empty() {
        crash_point("mid-reconcile");
        tracing::info!(count = overdue.len(), "publishing overdue deliveries again");
    }
    publish(context, overdue).await;
    Ok(())
}

async fn publish(context: &Arc<Context>, rows: Vec<DueDelivery>) {
    let publishes = rows
        .into_iter()
        .map(|row| ledger::publish_now(context, row));
    futures::future::join_all(publishes).await;
}
