//! Replaces a tenant's own secret.

use axum::{Json, extract::State};
use signpost_store::SecretScope;

use super::model::{Rotation, SecretBody, read_rotation, secret_body};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::JsonBody,
};

/// Replaces the tenant's own secret
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/secret/rotate", tag = "Secrets",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    request_body = Option<Rotation>,
    responses((status = 200, description = "The new secret", body = SecretBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<Json<SecretBody>> {
    let rotation = read_rotation(&mut fields, None);
    fields.finish()?;
    let now = app.clock.now();
    let live = app
        .store
        .rotate_secret(
            &tenant,
            SecretScope::Tenant,
            &rotation.secret,
            rotation.overlap,
            now,
        )
        .await?
        .ok_or_else(ApiError::not_found)?;
    secret_body(&live, None, String::new())
        .map(Json)
        .ok_or_else(ApiError::not_found)
}
