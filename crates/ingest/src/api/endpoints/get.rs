//! Shows an endpoint.

use axum::{Json, extract::State};
use signpost_domain::EndpointId;

use super::model::EndpointBody;
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::Id,
};

/// Shows an endpoint
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/endpoints/{id}", tag = "Endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The endpoint's id", example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    responses((status = 200, description = "The endpoint", body = EndpointBody))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EndpointId>,
) -> ApiResult<Json<EndpointBody>> {
    let endpoint = app.store.find_endpoint(&tenant, &id).await?;
    endpoint
        .map(|endpoint| Json(endpoint.into()))
        .ok_or_else(ApiError::not_found)
}
