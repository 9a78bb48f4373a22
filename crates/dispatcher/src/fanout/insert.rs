//! Inserts a batch. If the database will not take it as a whole, each event is tried by itself, so
//! that one that cannot be stored does not stop the others.

use chrono::{DateTime, Utc};
use signpost_domain::DeliveryStatus;
use signpost_store::{FanoutEvent, FanoutResult, InitialState, NewDelivery, StoreError};

use super::batch::Planned;
use crate::{context::Context, ledger};

/// What became of one event.
#[derive(Debug)]
pub(super) enum Inserted {
    /// It is stored, and its deliveries may begin.
    New,
    /// It was there already.
    Repeat {
        /// An earlier try of ours may have stored it without our learning of it.
        perhaps_ours: bool,
    },
    /// Another event bears its id.
    IdReused,
    /// The database refuses it.
    Refused(String),
}

/// Inserts the batch, waiting for the database as long as it takes. `None`: the process is
/// stopping; nothing was acked.
pub(super) async fn insert(context: &Context, planned: &[Planned]) -> Option<Vec<Inserted>> {
    match try_insert(context, planned).await {
        Ok(results) => results,
        Err(error) if planned.len() == 1 => Some(vec![Inserted::Refused(error.to_string())]),
        Err(_) => {
            let mut results = Vec::with_capacity(planned.len());
            for one in planned {
                match try_insert(context, std::slice::from_ref(one)).await {
                    Ok(result) => results.extend(result?),
                    Err(error) => results.push(Inserted::Refused(error.to_string())),
                }
            }
            Some(results)
        }
    }
}

/// Tries until the database has answered.
async fn try_insert(
    context: &Context,
    planned: &[Planned],
) -> Result<Option<Vec<Inserted>>, StoreError> {
    let Some(created_at) = planned.first().map(|planned| planned.created_at) else {
        return Ok(Some(Vec::new()));
    };
    let mut perhaps_ours = false;
    let mut pause = ledger::FIRST_PAUSE;
    loop {
        let now = context.clock.now();
        // Anew for each try: a lease that began before an outage would be over at its end, and the
        // reconciler would take the attempt that then begins for lost.
        let rows: Vec<_> = planned.iter().map(|planned| row(planned, now)).collect();
        match context.store.insert_fanout(created_at, &rows).await {
            Ok(results) => {
                let inserted = |result: FanoutResult| match result {
                    FanoutResult::Inserted => Inserted::New,
                    FanoutResult::Repeat => Inserted::Repeat { perhaps_ours },
                    FanoutResult::IdReused => Inserted::IdReused,
                };
                return Ok(Some(results.into_iter().map(inserted).collect()));
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(error = %signpost_runtime::error_chain(&error), "inserting events failed for now");
            }
            Err(error) => {
                tracing::error!(error = %signpost_runtime::error_chain(&error), "inserting events failed");
                return Err(error);
            }
        }
        if context.lifecycle.is_stopping() {
            return Ok(None);
        }
        perhaps_ours = true;
        tokio::time::sleep(pause).await;
        pause = ledger::longer(pause);
    }
}

fn row(planned: &Planned, now: DateTime<Utc>) -> FanoutEvent {
    let event = &planned.arrived.event;
    let delivery = |delivery: &super::plan::PlannedDelivery| NewDelivery {
        id: delivery.id.clone(),
        endpoint_id: delivery.endpoint.id.clone(),
        state: match (delivery.status, delivery.lease) {
            (DeliveryStatus::Held, _) => InitialState::Held {
                reason: "the endpoint is paused".to_owned(),
            },
            (_, Some(lease)) => InitialState::Pending {
                next_attempt_at: now + lease,
            },
            (_, None) => InitialState::Discarded {
                reason: "the endpoint is disabled".to_owned(),
            },
        },
        profile: delivery.endpoint.profile.name.clone(),
        profile_version: i32::try_from(delivery.endpoint.profile.version).unwrap_or(0),
        trigger: signpost_domain::Trigger::Event,
    };
    FanoutEvent {
        event: event.clone(),
        content_hash: event.content_hash(),
        traceparent: planned.arrived.traceparent.clone(),
        deliveries: planned.deliveries.iter().map(delivery).collect(),
    }
}
