//! Replaces an endpoint's secret.

use axum::{Json, extract::State};
use signpost_domain::EndpointId;
use signpost_store::SecretScope;

use super::{
    model::{Rotation, SecretBody, read_rotation, secret_body},
    of_endpoint,
};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::{Id, JsonBody},
};

/// Replaces an endpoint's secret
///
/// For the time of the overlap requests carry both signatures where the profile has room for
/// them; otherwise the new one signs from now on.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/endpoints/{id}/secret/rotate", tag = "Secrets",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The endpoint's id", example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    request_body = Option<Rotation>,
    responses((status = 200, description = "The new secret", body = SecretBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EndpointId>,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<Json<SecretBody>> {
    let profile = of_endpoint(&app, &tenant, &id).await?;
    let rotation = read_rotation(&mut fields, Some(&profile.wire));
    fields.finish()?;
    let scope = SecretScope::Endpoint(&id);
    let now = app.clock.now();
    let live = app
        .store
        .rotate_secret(&tenant, scope, &rotation.secret, rotation.overlap, now)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let jwks_url = format!("/v1/tenants/{tenant}/endpoints/{id}/jwks");
    secret_body(&live, Some(&profile.wire), jwks_url)
        .map(Json)
        .ok_or_else(ApiError::not_found)
}
