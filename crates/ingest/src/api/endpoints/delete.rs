//! Deletes an endpoint.

use axum::extract::State;
use http::StatusCode;
use signpost_domain::EndpointId;

use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Deletes an endpoint; the record of its deliveries stays
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/endpoints/{id}", tag = "Endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The endpoint's id", example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    responses((status = 204, description = "It is gone"))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EndpointId>,
) -> ApiResult<StatusCode> {
    if app
        .store
        .delete_endpoint(&tenant, &id, app.clock.now())
        .await?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found())
    }
}
