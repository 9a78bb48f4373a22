//! An endpoint's public keys, for its receiver.

use axum::{Json, extract::State};
use signpost_domain::EndpointId;
use signpost_store::SecretScope;

use super::model::{self, Jwks};
use crate::{
    api::profiles::load,
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Shows an endpoint's public keys as a JSON Web Key Set
///
/// For receivers of a profile that signs with Ed25519; for others the set is empty. No key is
/// needed: public keys are public.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/endpoints/{id}/jwks", tag = "Secrets",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The endpoint's id", example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    responses((status = 200, description = "The keys", body = Jwks))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EndpointId>,
) -> ApiResult<Json<Jwks>> {
    let endpoint = app.store.find_endpoint(&tenant, &id).await?;
    let endpoint = endpoint.ok_or_else(ApiError::not_found)?;
    let profile = load::newest(&app, &endpoint.settings.profile).await?;
    let profile = profile.ok_or_else(ApiError::not_found)?;
    let scope = SecretScope::Endpoint(&id);
    let live = app
        .store
        .live_secrets(&tenant, scope, app.clock.now())
        .await?;
    Ok(Json(model::jwks(&live, &profile.wire)))
}
