//! Removes an event type from the catalogue.

use axum::extract::State;
use http::StatusCode;
use signpost_domain::EventType;

use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Removes an event type from the catalogue; such events are still taken
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/event-types/{type}", tag = "Event types",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("type" = String, Path, description = "The event type", example = "license.created"),
    ),
    responses((status = 204, description = "It is gone"))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(event_type): Id<EventType>,
) -> ApiResult<StatusCode> {
    if !app.store.delete_event_type(&tenant, &event_type).await? {
        return Err(ApiError::not_found());
    }
    app.catalogs.forget(&tenant);
    Ok(StatusCode::NO_CONTENT)
}
