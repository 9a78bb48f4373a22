//! Shows an event.

use axum::{Json, extract::State};
use serde_json::value::RawValue;
use signpost_domain::EventId;

use super::model::EventBody;
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Shows an event with its data
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/events/{id}", tag = "Events",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The event's id", example = "evt_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    responses((status = 200, description = "The event", body = EventBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EventId>,
) -> ApiResult<Json<EventBody>> {
    let event = app.store.find_event(&tenant, &id).await?;
    let event = event.ok_or_else(ApiError::not_found)?;
    let data = match &event.data {
        // Byte for byte as it was sent: numbers and key order are the publisher's.
        Some(data) => serde_json::from_slice::<Box<RawValue>>(data).ok(),
        None => RawValue::from_string("null".to_owned()).ok(),
    };
    Ok(Json(EventBody::new(&tenant, event.headline, data)))
}
