//! Shows a tenant.

use axum::{Json, extract::State};

use super::model::TenantBody;
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
};

/// Shows a tenant
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}", tag = "Tenants",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    responses((status = 200, description = "The tenant", body = TenantBody))
)]
pub async fn handler(State(app): State<App>, Tenant(id): Tenant) -> ApiResult<Json<TenantBody>> {
    let tenant = app.store.find_tenant(&id).await?;
    tenant
        .map(|tenant| Json(tenant.into()))
        .ok_or_else(ApiError::not_found)
}
