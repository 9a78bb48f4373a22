//! Deletes a tenant with everything that it owns.

use axum::extract::State;
use http::StatusCode;

use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult, ErrorCode},
};

/// Erases a tenant with everything it owns
///
/// Its keys, endpoints, secrets and event types are gone at once. Its events and deliveries follow
/// in the background, and nothing of it is sent any more.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}", tag = "Tenants",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    responses((status = 204, description = "It is gone"))
)]
pub async fn handler(State(app): State<App>, Tenant(id): Tenant) -> ApiResult<StatusCode> {
    match app.store.begin_erasure(&id, app.clock.now()).await {
        Ok(true) => {
            app.tenants.forget(&id);
            Ok(StatusCode::NO_CONTENT)
        }
        Ok(false) => Err(ApiError::not_found()),
        Err(error) if error.conflict() == Some("tenants_default_stays") => Err(ApiError::new(
            ErrorCode::TenantProtected,
            "The tenant `default` always exists.",
        )),
        Err(error) => Err(error.into()),
    }
}
