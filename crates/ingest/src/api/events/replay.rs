//! Sends an event again.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use http::StatusCode;
use signpost_domain::{DeliveryId, EndpointId, EndpointStatus, EventId, TenantId, Trigger};
use signpost_store::{Endpoint, InitialState, NewDelivery, StoredEvent};

use super::model::{ReplayTarget, StartedDeliveries};
use crate::{
    api::{
        endpoints::matching::{all_endpoints, matches, to_value},
        profiles::load,
    },
    app::{App, Parts},
    door::Tenant,
    error::{ApiError, ApiResult, ErrorCode},
    http::{Id, JsonBody},
    resend,
};

/// Deliveries that are published at once; further ones follow at the reconciler's rate.
const AT_ONCE: usize = 100;

/// Sends an event again
///
/// To one endpoint, or to all that match now. Receivers that keep the event's id will notice that
/// it is the same.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/events/{id}/replay", tag = "Events",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The event's id", example = "evt_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    request_body = Option<ReplayTarget>,
    responses(
        (status = 202, description = "How many deliveries are on their way", body = StartedDeliveries),
        (status = 410, description = "The event's data is no longer kept"),
    )
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EventId>,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<(StatusCode, Json<StartedDeliveries>)> {
    let only = fields.parsed("endpoint_id", EndpointId::parse);
    fields.finish()?;
    let event = app.store.find_event(&tenant, &id).await?;
    let event = event.ok_or_else(ApiError::not_found)?;
    let endpoints = targets(&app, &tenant, &event, only.as_ref()).await?;
    let now = app.clock.now();
    let mut deliveries = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        deliveries.push(delivery(&app, endpoint, now).await?);
    }
    let started = app
        .store
        .insert_replay(&tenant, &id, &deliveries, now)
        .await?;
    let started = started.ok_or_else(data_gone)?;
    for delivery in deliveries.iter().take(AT_ONCE) {
        resend::publish(&app, &tenant, &delivery.id).await;
    }
    Ok((
        StatusCode::ACCEPTED,
        Json(StartedDeliveries {
            deliveries: started,
        }),
    ))
}

/// The one endpoint that was named, or all that want the event now.
async fn targets(
    app: &Parts,
    tenant: &TenantId,
    event: &StoredEvent,
    only: Option<&EndpointId>,
) -> ApiResult<Vec<Endpoint>> {
    if let Some(id) = only {
        let endpoint = app.store.find_endpoint(tenant, id).await?;
        return Ok(vec![endpoint.ok_or_else(ApiError::not_found)?]);
    }
    let data = to_value(event.data.as_ref().ok_or_else(data_gone)?);
    let mut endpoints = all_endpoints(app, tenant).await?;
    endpoints.retain(|endpoint| matches(&endpoint.settings, &event.headline.event_type, &data).0);
    Ok(endpoints)
}

async fn delivery(app: &Parts, endpoint: Endpoint, now: DateTime<Utc>) -> ApiResult<NewDelivery> {
    let name = &endpoint.settings.profile;
    let profile = load::newest(app, name).await?.ok_or_else(|| {
        ApiError::internal_text(format!(
            "endpoint {} has the unknown profile {name}",
            endpoint.id
        ))
    })?;
    Ok(NewDelivery {
        id: DeliveryId::generate(now, rand::random()),
        state: match endpoint.settings.status {
            EndpointStatus::Active => InitialState::Pending {
                next_attempt_at: now,
            },
            EndpointStatus::Paused => InitialState::Held {
                reason: "the endpoint is paused".to_owned(),
            },
            EndpointStatus::Disabled => InitialState::Discarded {
                reason: "the endpoint is disabled".to_owned(),
            },
        },
        endpoint_id: endpoint.id,
        profile: profile.name,
        profile_version: profile.version,
        trigger: Trigger::Replay,
    })
}

fn data_gone() -> ApiError {
    let detail = "The event's data is no longer kept, so it cannot be sent again.";
    ApiError::new(ErrorCode::BodyExpired, detail)
}
