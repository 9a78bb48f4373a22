//! Lists endpoints.

use axum::{Json, extract::State};

use super::model::EndpointBody;
use crate::{
    api::page::{PageBody, page_body, read_page},
    app::App,
    door::Tenant,
    error::ApiResult,
    http::Query,
};

/// Lists the tenant's endpoints, newest first
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/endpoints", tag = "Endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("limit" = Option<u16>, Query, description = "Most items of the page", minimum = 1, maximum = 250, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of endpoints", body = PageBody<EndpointBody>))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    mut query: Query,
) -> ApiResult<Json<PageBody<EndpointBody>>> {
    let page = read_page(&mut query);
    query.finish()?;
    let endpoints = app.store.list_endpoints(&tenant, &page).await?;
    Ok(page_body(endpoints, EndpointBody::from))
}
