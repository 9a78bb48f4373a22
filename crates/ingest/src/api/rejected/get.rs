//! Shows a rejected message.

use axum::{
    Json,
    extract::{Path, State},
};

use super::model::{RejectedStory, to_api_error};
use crate::{
    app::App,
    error::{ApiError, ApiResult},
};

/// How far into the queue a look goes.
const MAX_LOOK: usize = 10_000;

/// Shows a message that could not be read, whole
#[utoipa::path(
    get, path = "/v1/rejected/{id}", tag = "Operations",
    params(("id" = String, Path, description = "The message's id", example = "rej_01jd8p4z3mfjrtvxq5s2w9hk6e")),
    responses((status = 200, description = "The message", body = RejectedStory))
)]
pub async fn handler(
    State(app): State<App>,
    Path(id): Path<String>,
) -> ApiResult<Json<RejectedStory>> {
    let messages = app
        .broker
        .rejected()
        .list(MAX_LOOK)
        .await
        .map_err(to_api_error)?;
    let found = messages.into_iter().find(|message| message.id == id);
    found
        .map(|message| Json(RejectedStory::new(message)))
        .ok_or_else(ApiError::not_found)
}
