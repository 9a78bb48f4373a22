//! Lists deliveries.

use axum::{Json, extract::State};
use signpost_domain::{DeliveryStatus, EndpointId, EventId, EventType};
use signpost_store::DeliveryFilter;

use super::model::{DeliveryBody, DeliveryStatusBody};
use crate::{
    api::page::{PageBody, page_body, read_page},
    app::App,
    door::Tenant,
    error::ApiResult,
    http::Query,
};

/// Lists deliveries, newest first
///
/// A page may hold fewer items than asked for although more follow: go on while `next_cursor` is
/// there.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/deliveries", tag = "Deliveries",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("endpoint_id" = Option<String>, Query, description = "To this endpoint", pattern = "^ep_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
        ("event_id" = Option<String>, Query, description = "Of this event", pattern = "^[A-Za-z0-9_-]{1,128}$"),
        ("event_type" = Option<String>, Query, description = "Of this event type", example = "license.created"),
        ("status" = Option<DeliveryStatusBody>, Query, description = "With this status"),
        ("since" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "Made at this time or later"),
        ("until" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "Made before this time"),
        ("limit" = Option<u16>, Query, description = "Most items of the page", minimum = 1, maximum = 250, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of deliveries", body = PageBody<DeliveryBody>))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    mut query: Query,
) -> ApiResult<Json<PageBody<DeliveryBody>>> {
    let page = read_page(&mut query);
    let filter = DeliveryFilter {
        endpoint_id: query.parsed("endpoint_id", EndpointId::parse),
        event_id: query.parsed("event_id", EventId::parse),
        event_type: query.parsed("event_type", EventType::parse),
        status: query.parsed("status", |text| {
            DeliveryStatus::parse(text)
                .ok_or("write `pending`, `succeeded`, `failed`, `held` or `discarded`")
        }),
        since: query.time("since"),
        until: query.time("until"),
    };
    query.finish()?;
    let deliveries = app.store.list_deliveries(&tenant, &filter, &page).await?;
    Ok(page_body(deliveries, DeliveryBody::from))
}
