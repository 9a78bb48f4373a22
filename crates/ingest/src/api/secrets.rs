//! Secrets: what requests are signed with; an endpoint's own, or the tenant's.

pub mod get;
pub mod get_tenant;
pub mod jwks;
pub mod model;
pub mod rotate;
pub mod rotate_tenant;

use secrecy::SecretString;
use signpost_domain::{EndpointId, TenantId};
use signpost_store::{LiveSecret, SecretScope};
use signpost_wire::Scope;

use crate::{
    api::profiles::load::{self, LoadedProfile},
    app::Parts,
    error::{ApiError, ApiResult, ErrorCode},
};

/// The profile of an endpoint that has a secret of its own.
///
/// # Errors
/// There is no such endpoint, or its profile signs with something else.
async fn of_endpoint(app: &Parts, tenant: &TenantId, id: &EndpointId) -> ApiResult<LoadedProfile> {
    let endpoint = app.store.find_endpoint(tenant, id).await?;
    let endpoint = endpoint.ok_or_else(ApiError::not_found)?;
    let profile = load::newest(app, &endpoint.settings.profile).await?;
    let profile = profile.ok_or_else(ApiError::not_found)?;
    match model::scope_of(&profile.wire) {
        Some(Scope::Endpoint) => Ok(profile),
        Some(Scope::Tenant) => Err(ApiError::new(
            ErrorCode::Conflict,
            "This endpoint's profile signs with the tenant's own secret: see /secret of the tenant.",
        )),
        None => Err(ApiError::new(
            ErrorCode::Conflict,
            "This endpoint's profile signs nothing, so it has no secret.",
        )),
    }
}

/// The tenant's own secrets that sign now; the first one is made when it is first needed.
///
/// # Errors
/// The database cannot be reached, or there is no such tenant.
pub async fn tenant_secrets(app: &Parts, tenant: &TenantId) -> ApiResult<Vec<LiveSecret>> {
    let now = app.clock.now();
    let live = app
        .store
        .live_secrets(tenant, SecretScope::Tenant, now)
        .await?;
    if !live.is_empty() {
        return Ok(live);
    }
    let secret: SecretString = model::generate(None);
    // Should two be made at the same moment, both sign: whoever saw the first is still right.
    let overlap = std::time::Duration::from_secs(24 * 3600);
    let live = app
        .store
        .rotate_secret(tenant, SecretScope::Tenant, &secret, overlap, now)
        .await?;
    live.ok_or_else(ApiError::not_found)
}
