//! Sends an endpoint again what it missed.

use axum::{Json, extract::State};
use chrono::TimeDelta;
use http::StatusCode;
use signpost_domain::EndpointId;

use super::model::RecoverRange;
use crate::{
    api::events::model::StartedDeliveries,
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::{Id, JsonBody, query::parse_moment},
};

/// The reconciler takes what is overdue by this much, at its bounded rate; so what is made due so
/// long ago is on its way at its next round.
const OVERDUE: TimeDelta = TimeDelta::seconds(15);

/// Sends all failed and held deliveries of an endpoint again
///
/// They go out at a bounded rate, each with all its retries. Progress shows in the list of
/// deliveries, filtered by `endpoint_id` and `status=pending`.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/endpoints/{id}/recover", tag = "Endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The endpoint's id", example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    request_body = RecoverRange,
    responses((status = 202, description = "How many are on their way", body = StartedDeliveries))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EndpointId>,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<(StatusCode, Json<StartedDeliveries>)> {
    let now = app.clock.now();
    let since = fields.parsed("since", parse_moment);
    fields.require("since", since.is_some());
    let until = fields.parsed("until", parse_moment).unwrap_or(now);
    fields.finish()?;
    let Some(since) = since else {
        return Err(ApiError::internal_text(
            "a recovery without a time passed its checks",
        ));
    };
    if app.store.find_endpoint(&tenant, &id).await?.is_none() {
        return Err(ApiError::not_found());
    }
    let due_at = now - OVERDUE;
    let deliveries = app
        .store
        .recover_endpoint(&tenant, &id, since, until, due_at)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(StartedDeliveries { deliveries })))
}
