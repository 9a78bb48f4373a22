//! Puts a rejected message back.

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::model::to_api_error;
use crate::{
    app::App,
    error::{ApiError, ApiResult},
};

/// A message that was put back.
#[derive(Debug, Serialize, ToSchema)]
pub struct Requeued {
    /// The id it had among the rejected ones.
    #[schema(example = "rej_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub id: String,
}

/// Publishes a rejected message again, as it was first
#[utoipa::path(
    post, path = "/v1/rejected/{id}/requeue", tag = "Operations",
    params(("id" = String, Path, description = "The message's id", example = "rej_01jd8p4z3mfjrtvxq5s2w9hk6e")),
    responses((status = 202, description = "It is back in its queue", body = Requeued))
)]
pub async fn handler(
    State(app): State<App>,
    Path(id): Path<String>,
) -> ApiResult<(StatusCode, Json<Requeued>)> {
    if app
        .broker
        .rejected()
        .requeue(&id)
        .await
        .map_err(to_api_error)?
    {
        Ok((StatusCode::ACCEPTED, Json(Requeued { id })))
    } else {
        Err(ApiError::not_found())
    }
}
