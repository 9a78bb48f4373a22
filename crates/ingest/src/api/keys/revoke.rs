//! Revokes a key by its id alone.

use axum::extract::State;
use http::StatusCode;
use signpost_domain::KeyId;

use crate::{
    app::App,
    auth::Role,
    door::Scope,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Revokes a key, everywhere within a second
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "Keys",
    params(("id" = String, Path, description = "The key's id", example = "key_01jd8p4z3mfjrtvxq5s2w9hk6e")),
    responses((status = 204, description = "It is not valid any more"))
)]
pub async fn handler(
    State(app): State<App>,
    scope: Scope,
    Id(id): Id<KeyId>,
) -> ApiResult<StatusCode> {
    let is_deleted = match &scope.tenant {
        Some(tenant) => app.store.delete_key(Some(tenant), &id).await?,
        None if scope.caller.role == Role::Admin => app.store.delete_any_key(&id).await?,
        None => false,
    };
    if !is_deleted {
        return Err(ApiError::not_found());
    }
    app.keys.forget(&id);
    Ok(StatusCode::NO_CONTENT)
}
