//! Revokes a key of a tenant.

use axum::extract::State;
use http::StatusCode;
use signpost_domain::KeyId;

use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Revokes a key of a tenant, everywhere within a second
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/keys/{id}", tag = "Keys",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The key's id", example = "key_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    responses((status = 204, description = "It is not valid any more"))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<KeyId>,
) -> ApiResult<StatusCode> {
    if !app.store.delete_key(Some(&tenant), &id).await? {
        return Err(ApiError::not_found());
    }
    app.keys.forget(&id);
    Ok(StatusCode::NO_CONTENT)
}
