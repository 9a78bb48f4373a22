//! Lists a tenant's keys.

use axum::{Json, extract::State};

use super::model::KeyBody;
use crate::{
    api::page::{PageBody, page_body, read_page},
    app::App,
    door::Tenant,
    error::ApiResult,
    http::Query,
};

/// Lists a tenant's keys, newest first; the keys themselves are not kept
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/keys", tag = "Keys",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("limit" = Option<u16>, Query, description = "Most items of the page", minimum = 1, maximum = 250, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of keys", body = PageBody<KeyBody>))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    mut query: Query,
) -> ApiResult<Json<PageBody<KeyBody>>> {
    let page = read_page(&mut query);
    query.finish()?;
    let keys = app.store.list_keys(Some(&tenant), &page).await?;
    Ok(page_body(keys, KeyBody::from))
}
