//! Drops a rejected message.

use axum::extract::{Path, State};
use http::StatusCode;

use super::model::to_api_error;
use crate::{
    app::App,
    error::{ApiError, ApiResult},
};

/// Drops a rejected message for good
#[utoipa::path(
    delete, path = "/v1/rejected/{id}", tag = "Operations",
    params(("id" = String, Path, description = "The message's id", example = "rej_01jd8p4z3mfjrtvxq5s2w9hk6e")),
    responses((status = 204, description = "It is gone"))
)]
pub async fn handler(State(app): State<App>, Path(id): Path<String>) -> ApiResult<StatusCode> {
    if app
        .broker
        .rejected()
        .delete(&id)
        .await
        .map_err(to_api_error)?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found())
    }
}
