//! Lists the deliveries of an event.

use axum::{Json, extract::State};
use signpost_domain::EventId;
use signpost_store::DeliveryFilter;

use crate::{
    api::{
        deliveries::model::DeliveryBody,
        page::{PageBody, page_body, read_page},
    },
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::{Id, Query},
};

/// Lists what became of an event at each endpoint
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/events/{id}/deliveries", tag = "Events",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The event's id", example = "evt_01jd8p4z3mfjrtvxq5s2w9hk6e"),
        ("limit" = Option<u16>, Query, description = "Most items of the page", minimum = 1, maximum = 250, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of deliveries", body = PageBody<DeliveryBody>))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EventId>,
    mut query: Query,
) -> ApiResult<Json<PageBody<DeliveryBody>>> {
    let page = read_page(&mut query);
    query.finish()?;
    let filter = DeliveryFilter {
        event_id: Some(id.clone()),
        ..DeliveryFilter::default()
    };
    let deliveries = app.store.list_deliveries(&tenant, &filter, &page).await?;
    if deliveries.items.is_empty() && app.store.find_event(&tenant, &id).await?.is_none() {
        return Err(ApiError::not_found());
    }
    Ok(page_body(deliveries, DeliveryBody::from))
}
