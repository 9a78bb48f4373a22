//! Creates a tenant, or changes its name.

use axum::{Json, extract::State};
use signpost_domain::endpoint::check_name;

use super::model::{TenantBody, TenantSettings};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult, ErrorCode},
    http::JsonBody,
};

/// Creates a tenant, or changes its name
#[utoipa::path(
    put, path = "/v1/tenants/{tenant}", tag = "Tenants",
    params(("tenant" = String, Path, description = "1 to 64 characters of a-z, 0-9, `_` and `-`",
        example = "acme", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")),
    request_body = Option<TenantSettings>,
    responses((status = 200, description = "The tenant", body = TenantBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(id): Tenant,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<Json<TenantBody>> {
    let name = fields.text("name");
    if let Some(name) = &name {
        fields.check(check_name(name));
    }
    fields.finish()?;
    let stored = app
        .store
        .put_tenant(&id, name.as_deref(), app.clock.now())
        .await?;
    let Some(tenant) = stored else {
        return Err(ApiError::new(
            ErrorCode::Conflict,
            "A tenant of this id is being erased at the moment. Come back when that is done.",
        )
        .retry_after(30));
    };
    Ok(Json(tenant.into()))
}
