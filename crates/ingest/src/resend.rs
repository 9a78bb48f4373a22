//! Brings a delivery that the ledger has made due again to the broker at once.
//!
//! Called after a manual retry and a replay. The ledger already says that it is due, so nothing is
//! lost when this fails: the reconciler finds it some seconds later. The copy asks the ledger
//! before it is attempted, so two copies are no two requests.

use chrono::{DateTime, SubsecRound};
use signpost_broker::DeliveryMessage;
use signpost_domain::{DeliveryId, DeliveryStatus, TenantId};
use signpost_runtime::error_chain;
use signpost_store::DueDelivery;
use signpost_wire::EventParts;

use crate::{api::profiles::load, app::Parts, error::ApiResult};

/// Publishes a pending delivery.
pub async fn publish(app: &Parts, tenant: &TenantId, id: &DeliveryId) {
    if let Err(detail) = try_publish(app, tenant, id).await {
        tracing::warn!(
            tenant.id = %tenant, delivery.id = %id, detail,
            "a delivery could not be published at once; the reconciler will"
        );
    }
}

async fn try_publish(app: &Parts, tenant: &TenantId, id: &DeliveryId) -> Result<(), String> {
    let row = app.store.load_for_publish(tenant, id).await;
    let row = row.map_err(|error| error_chain(&error).to_string())?;
    let Some(row) = row.filter(|row| row.state.status == DeliveryStatus::Pending) else {
        return Ok(());
    };
    let message = render(app, row).await;
    let Some(message) = message.map_err(|error| error.detail().to_owned())? else {
        return Err("its event's data or its profile is no longer kept".to_owned());
    };
    let published = app
        .publisher
        .publish_confirmed(message.to_deliveries())
        .await;
    published.map_err(|error| error.to_string())
}

/// The message of the next attempt, rendered from the ledger.
async fn render(app: &Parts, row: DueDelivery) -> ApiResult<Option<DeliveryMessage>> {
    let profile = load::at_version(app, &row.profile, row.profile_version).await?;
    let (Some(profile), Some(data)) = (profile, &row.data) else {
        return Ok(None);
    };
    let event = EventParts {
        id: row.event_id.as_str(),
        event_type: row.event_type.as_str(),
        tenant: row.tenant.as_str(),
        occurred_at: row.occurred_at,
    };
    let due_at = row.state.next_attempt_at.unwrap_or(DateTime::UNIX_EPOCH);
    Ok(Some(DeliveryMessage {
        attempt: row.state.next_number,
        retries_used: row.state.retries_used,
        trigger: row.state.trigger,
        due_at: due_at.trunc_subsecs(3),
        occurred_at: row.occurred_at,
        profile_version: u32::try_from(row.profile_version).unwrap_or(0),
        body: profile.wire.render_body(&event, data),
        tenant: row.tenant,
        event_id: row.event_id,
        endpoint_id: row.endpoint_id,
        delivery_id: row.id,
        event_type: row.event_type,
        profile: row.profile,
        lease: None,
        traceparent: row.traceparent,
    }))
}
