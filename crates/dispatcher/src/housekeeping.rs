//! Forgetting: old bodies and rows, and everything of tenants that were erased. In small steps
//! with pauses between them, by the replica that reconciles.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{FutureExt, future::BoxFuture};
use signpost_broker::Broker;
use signpost_domain::TenantId;
use signpost_store::{RetentionPosition, StoreError};

use crate::context::Context;

/// The time between two looks for tenants to erase.
const ROUND: Duration = Duration::from_secs(5);
/// The time between two rounds of retention.
const RETENTION_EVERY: Duration = Duration::from_secs(600);
/// Rows of one step: a step takes some 10 ms.
const STEP: u32 = 500;
/// The shortest pause after a step.
const PAUSE: Duration = Duration::from_millis(40);
/// A pause is this many times as long as the step took, so that forgetting takes a tenth of one
/// connection's time at most, and less of a busy database.
const PAUSE_FACTOR: u32 = 9;
/// How long the answers to requests with an `Idempotency-Key` are kept.
const IDEMPOTENCY_KEYS_FOR: TimeDelta = TimeDelta::hours(24);

/// How long a note on an event stays that has not been handed out again.
const SUSPECTS_FOR: TimeDelta = TimeDelta::hours(24);

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Events, deliveries and attempts, counted from their end.
    pub rows: Duration,
    /// Events' data and receivers' answers.
    pub bodies: Duration,
}

/// Forgets until the process stops.
pub(crate) async fn run(context: Arc<Context>, broker: Broker, retention: Retention) {
    let token = context.lifecycle.token();
    let mut last_retention = None;
    while !token.is_cancelled() {
        if context.is_leader() {
            let now = tokio::time::Instant::now();
            let is_due = last_retention.is_none_or(|last| now - last >= RETENTION_EVERY);
            let done = async {
                erase_tenants(&context, &broker).await?;
                if is_due {
                    forget_old(&context, retention).await?;
                    last_retention = Some(now);
                }
                Ok::<_, StoreError>(())
            };
            // Cancel-safe: each step is one transaction.
            match token.run_until_cancelled(Box::pin(done)).await {
                Some(Ok(())) | None => {}
                Some(Err(error)) => {
                    tracing::warn!(error = %signpost_runtime::error_chain(&error), "forgetting failed for now");
                }
            }
        }
        tokio::select! {
            // Cancel-safe: nothing is lost with a pause.
            () = tokio::time::sleep(ROUND) => {}
            () = token.cancelled() => {}
        }
    }
}

/// Makes a step, and pauses in proportion to what it took.
async fn at_leisure<T>(step: BoxFuture<'_, Result<T, StoreError>>) -> Result<T, StoreError> {
    let started = tokio::time::Instant::now();
    let done = step.await?;
    tokio::time::sleep((started.elapsed() * PAUSE_FACTOR).max(PAUSE)).await;
    Ok(done)
}

async fn forget_old(context: &Context, retention: Retention) -> Result<(), StoreError> {
    let now = context.clock.now();
    let (bodies, rows) = (before(now, retention.bodies), before(now, retention.rows));
    let mut forgotten = 0;
    for tenant in context.store.all_tenants().await? {
        forgotten += forget_of(context, &tenant, bodies, rows).await?;
    }
    loop {
        let old = now - IDEMPOTENCY_KEYS_FOR;
        let step = context
            .store
            .delete_idempotency_keys_step(old, STEP)
            .await?;
        if step.is_done {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    context.store.forget_suspects(now - SUSPECTS_FOR).await?;
    if forgotten > 0 {
        tracing::info!(rows = forgotten, "retention: emptied or removed rows");
    }
    Ok(())
}

async fn forget_of(
    context: &Context,
    tenant: &TenantId,
    bodies: DateTime<Utc>,
    rows: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    loop {
        let step = context.store.clear_bodies_step(tenant, bodies, STEP);
        let step = at_leisure(step.boxed()).await?;
        forgotten += step.rows;
        if step.is_done {
            break;
        }
    }
    let mut position = RetentionPosition::default();
    loop {
        let step = context
            .store
            .delete_rows_step(tenant, rows, STEP, &mut position);
        let step = at_leisure(step.boxed()).await?;
        forgotten += step.rows;
        if step.is_done {
            return Ok(forgotten);
        }
    }
}

/// Removes what the erased tenants still have. What of theirs waits in queues is dropped when it
/// comes up, since its tenant is no more; what was rejected is taken out here.
async fn erase_tenants(context: &Context, broker: &Broker) -> Result<(), StoreError> {
    for tenant in context.store.tenants_being_erased().await? {
        loop {
            let step = context.store.erase_step(&tenant, context.clock.now(), STEP);
            let step = at_leisure(step.boxed()).await?;
            if step.is_done {
                tracing::info!(tenant.id = %tenant, "tenant erased");
            }
            if step.is_done || step.removed == 0 {
                break;
            }
        }
        let of_tenant = format!("{tenant}.");
        let rejected = broker.rejected();
        let dropped = rejected.delete_where(|message| message.routing_key.starts_with(&of_tenant));
        if let Err(error) = dropped.await {
            tracing::warn!(error = %signpost_runtime::error_chain(&error), tenant.id = %tenant, "cannot look through the rejected messages for now");
        }
    }
    Ok(())
}

fn before(now: DateTime<Utc>, kept: Duration) -> DateTime<Utc> {
    // Ten years at most, by the configuration's check.
    now - TimeDelta::from_std(kept).unwrap_or(TimeDelta::days(3650))
}
