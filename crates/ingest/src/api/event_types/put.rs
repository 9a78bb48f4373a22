//! Describes an event type.

use axum::{Json, extract::State};
use signpost_domain::EventType;

use super::model::{self, EventTypeBody, EventTypeFields};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::{Id, JsonBody},
};

/// Adds an event type to the catalogue, or replaces it
#[utoipa::path(
    put, path = "/v1/tenants/{tenant}/event-types/{type}", tag = "Event types",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("type" = String, Path, description = "The event type", example = "license.created"),
    ),
    request_body = Option<EventTypeFields>,
    responses((status = 200, description = "The event type", body = EventTypeBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(event_type): Id<EventType>,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<Json<EventTypeBody>> {
    let settings = model::read(&mut fields, event_type.clone());
    fields.finish()?;
    let now = app.clock.now();
    if !app.store.put_event_types(&tenant, &[settings], now).await? {
        return Err(ApiError::not_found());
    }
    app.catalogs.forget(&tenant);
    let stored = app.store.find_event_type(&tenant, &event_type).await?;
    stored
        .map(|stored| Json(stored.into()))
        .ok_or_else(ApiError::not_found)
}
