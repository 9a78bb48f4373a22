//! Shows an endpoint's secret.

use axum::{Json, extract::State};
use signpost_domain::EndpointId;
use signpost_store::SecretScope;

use super::{
    model::{SecretBody, secret_body},
    of_endpoint,
};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Shows what an endpoint's requests are signed with
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/endpoints/{id}/secret", tag = "Secrets",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The endpoint's id", example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    responses((status = 200, description = "The secret", body = SecretBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EndpointId>,
) -> ApiResult<Json<SecretBody>> {
    let profile = of_endpoint(&app, &tenant, &id).await?;
    let scope = SecretScope::Endpoint(&id);
    let live = app
        .store
        .live_secrets(&tenant, scope, app.clock.now())
        .await?;
    let jwks_url = format!("/v1/tenants/{tenant}/endpoints/{id}/jwks");
    secret_body(&live, Some(&profile.wire), jwks_url)
        .map(Json)
        .ok_or_else(ApiError::not_found)
}
