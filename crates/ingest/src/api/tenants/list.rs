//! Lists tenants.

use axum::{Json, extract::State};

use super::model::TenantBody;
use crate::{
    api::page::{PageBody, page_body, read_page},
    app::App,
    error::ApiResult,
    http::Query,
};

/// Lists the tenants, in the order of their ids
#[utoipa::path(
    get, path = "/v1/tenants", tag = "Tenants",
    params(
        ("limit" = Option<u16>, Query, description = "Most items of the page", minimum = 1, maximum = 250, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of tenants", body = PageBody<TenantBody>))
)]
pub async fn handler(
    State(app): State<App>,
    mut query: Query,
) -> ApiResult<Json<PageBody<TenantBody>>> {
    let page = read_page(&mut query);
    query.finish()?;
    let tenants = app.store.list_tenants(&page).await?;
    Ok(page_body(tenants, TenantBody::from))
}
