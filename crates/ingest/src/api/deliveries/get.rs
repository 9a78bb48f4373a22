//! Shows a delivery with its attempts.

use axum::{Json, extract::State};
use signpost_domain::{DeliveryId, TenantId};
use signpost_store::Delivery;
use signpost_wire::EventParts;

use super::model::{AttemptBody, DeliveryBody, DeliveryStory};
use crate::{
    api::profiles::load,
    app::{App, Parts},
    door::Tenant,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Shows a delivery with its attempts
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/deliveries/{id}", tag = "Deliveries",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The delivery's id", example = "dlv_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    responses((status = 200, description = "The delivery", body = DeliveryStory))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<DeliveryId>,
) -> ApiResult<Json<DeliveryStory>> {
    let delivery = app.store.find_delivery(&tenant, &id).await?;
    let delivery = delivery.ok_or_else(ApiError::not_found)?;
    let attempts = app.store.list_attempts(&tenant, &id).await?;
    let body = if attempts.is_empty() {
        None
    } else {
        request_body(&app, &tenant, &delivery).await?
    };
    let attempts = attempts
        .into_iter()
        .map(|attempt| AttemptBody::new(attempt, body.clone()))
        .collect();
    Ok(Json(DeliveryStory {
        delivery: DeliveryBody::from(delivery),
        attempts,
    }))
}

/// The body is not kept per attempt: it is rendered again, to the same bytes.
async fn request_body(
    app: &Parts,
    tenant: &TenantId,
    delivery: &Delivery,
) -> ApiResult<Option<String>> {
    let Some(event) = app.store.find_event(tenant, &delivery.event_id).await? else {
        return Ok(None);
    };
    let profile = load::at_version(app, &delivery.profile, delivery.profile_version).await?;
    let (Some(data), Some(profile)) = (event.data, profile) else {
        return Ok(None);
    };
    let parts = EventParts {
        id: delivery.event_id.as_str(),
        event_type: delivery.event_type.as_str(),
        tenant: tenant.as_str(),
        occurred_at: event.headline.occurred_at,
    };
    let body = profile.wire.render_body(&parts, &data);
    Ok(Some(String::from_utf8_lossy(&body).into_owned()))
}
