//! Shows an event type.

use axum::{Json, extract::State};
use signpost_domain::EventType;

use super::model::EventTypeBody;
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Shows an event type of the catalogue
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/event-types/{type}", tag = "Event types",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("type" = String, Path, description = "The event type", example = "license.created"),
    ),
    responses((status = 200, description = "The event type", body = EventTypeBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(event_type): Id<EventType>,
) -> ApiResult<Json<EventTypeBody>> {
    let stored = app.store.find_event_type(&tenant, &event_type).await?;
    stored
        .map(|stored| Json(stored.into()))
        .ok_or_else(ApiError::not_found)
}
