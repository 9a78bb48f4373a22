//! Shows which endpoints would get an event, without sending it.

use axum::{Json, extract::State};
use serde_json::{Value, json};
use signpost_domain::EventType;

use super::{
    matching::{all_endpoints, matches},
    model::{Preview, PreviewEvent, PreviewItem},
};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::JsonBody,
};

/// Shows which endpoints would get an event, and why the others would not
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/endpoints/preview", tag = "Endpoints",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    request_body = PreviewEvent,
    responses((status = 200, description = "All endpoints; those that would get it first", body = Preview))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<Json<Preview>> {
    let event_type = fields.parsed("type", EventType::parse);
    fields.require("type", event_type.is_some());
    let data: Value = fields.any("data").unwrap_or_else(|| json!({}));
    fields.finish()?;
    let Some(event_type) = event_type else {
        return Err(ApiError::internal_text(
            "a preview without a type passed its checks",
        ));
    };
    let endpoints = all_endpoints(&app, &tenant).await?;
    let mut items: Vec<_> = endpoints
        .into_iter()
        .map(|endpoint| {
            let (is_match, reason) = matches(&endpoint.settings, &event_type, &data);
            PreviewItem {
                endpoint_id: endpoint.id.to_string(),
                name: endpoint.settings.name,
                matches: is_match,
                reason,
            }
        })
        .collect();
    items.sort_by_key(|item| !item.matches);
    Ok(Json(Preview { items }))
}
