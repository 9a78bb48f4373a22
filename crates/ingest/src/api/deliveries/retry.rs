//! Makes a delivery once more.

use axum::{Json, extract::State};
use http::StatusCode;
use signpost_domain::{DeliveryId, Trigger};
use signpost_store::Reset;

use super::model::DeliveryBody;
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult, ErrorCode},
    http::{Id, JsonBody},
    resend,
};

/// Makes a delivery once more
///
/// At once, also one that waits for its next retry; automatic retries follow as for a new delivery.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/deliveries/{id}/retry", tag = "Deliveries",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The delivery's id", example = "dlv_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    responses(
        (status = 202, description = "It is on its way", body = DeliveryBody),
        (status = 409, description = "An attempt of it is under way or about to begin"),
        (status = 410, description = "The event's data is no longer kept"),
    )
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<DeliveryId>,
    JsonBody(fields): JsonBody,
) -> ApiResult<(StatusCode, Json<DeliveryBody>)> {
    fields.finish()?;
    let now = app.clock.now();
    match app
        .store
        .reset_for_retry(&tenant, &id, Trigger::Manual, now)
        .await?
    {
        Reset::Done => resend::publish(&app, &tenant, &id).await,
        Reset::UnderWay => {
            let detail = "An attempt of this delivery is under way or about to begin.";
            return Err(ApiError::new(ErrorCode::Conflict, detail));
        }
        Reset::DataGone => {
            let detail = "The event's data is no longer kept, so it cannot be sent again.";
            return Err(ApiError::new(ErrorCode::BodyExpired, detail));
        }
        Reset::Missing => return Err(ApiError::not_found()),
    }
    let delivery = app.store.find_delivery(&tenant, &id).await?;
    let delivery = delivery.ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryBody::from(delivery))))
}
