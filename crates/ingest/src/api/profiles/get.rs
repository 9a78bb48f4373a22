//! Shows a profile.

use axum::{
    Json,
    extract::{Path, State},
};
use signpost_wire::builtin;

use super::model::ProfileBody;
use crate::{
    app::App,
    error::{ApiError, ApiResult},
};

/// Shows a profile
#[utoipa::path(
    get, path = "/v1/profiles/{name}", tag = "Profiles",
    params(("name" = String, Path, description = "The profile's name", example = "standard-webhooks")),
    responses((status = 200, description = "The profile", body = ProfileBody))
)]
pub async fn handler(
    State(app): State<App>,
    Path(name): Path<String>,
) -> ApiResult<Json<ProfileBody>> {
    if let Some(found) = builtin().iter().find(|builtin| builtin.name == name) {
        return Ok(Json(found.into()));
    }
    if !super::put::is_name(&name) {
        return Err(ApiError::not_found());
    }
    let stored = app.store.find_profile(&name).await?;
    stored
        .map(|stored| Json(stored.into()))
        .ok_or_else(ApiError::not_found)
}
