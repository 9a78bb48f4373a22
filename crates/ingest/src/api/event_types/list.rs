//! Lists event types.

use axum::{Json, extract::State};

use super::model::EventTypeBody;
use crate::{
    api::page::{PageBody, page_body, read_page},
    app::App,
    door::Tenant,
    error::ApiResult,
    http::Query,
};

/// Lists the catalogue, in alphabetical order
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/event-types", tag = "Event types",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("limit" = Option<u16>, Query, description = "Most items of the page", minimum = 1, maximum = 250, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of event types", body = PageBody<EventTypeBody>))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    mut query: Query,
) -> ApiResult<Json<PageBody<EventTypeBody>>> {
    let page = read_page(&mut query);
    query.finish()?;
    let types = app.store.list_event_types(&tenant, &page).await?;
    Ok(page_body(types, EventTypeBody::from))
}
