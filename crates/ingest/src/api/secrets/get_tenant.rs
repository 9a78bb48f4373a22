//! Shows a tenant's own secret.

use axum::{Json, extract::State};

use super::{
    model::{SecretBody, secret_body},
    tenant_secrets,
};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
};

/// Shows the tenant's own secret, which profiles of scope `tenant` sign with
///
/// It is made when it is first asked for.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/secret", tag = "Secrets",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    responses((status = 200, description = "The secret", body = SecretBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
) -> ApiResult<Json<SecretBody>> {
    let live = tenant_secrets(&app, &tenant).await?;
    secret_body(&live, None, String::new())
        .map(Json)
        .ok_or_else(ApiError::not_found)
}
