//! Deletes a custom profile.

use axum::extract::{Path, State};
use http::StatusCode;
use signpost_store::ProfileDeletion;

use super::put::{is_name, refuse_builtin};
use crate::{
    app::App,
    error::{ApiError, ApiResult, ErrorCode},
};

/// Deletes a profile that no endpoint uses
#[utoipa::path(
    delete, path = "/v1/profiles/{name}", tag = "Profiles",
    params(("name" = String, Path, description = "The profile's name", example = "our-own")),
    responses((status = 204, description = "It is gone"))
)]
pub async fn handler(State(app): State<App>, Path(name): Path<String>) -> ApiResult<StatusCode> {
    refuse_builtin(&name)?;
    if !is_name(&name) {
        return Err(ApiError::not_found());
    }
    match app.store.delete_profile(&name, app.clock.now()).await? {
        ProfileDeletion::Deleted => Ok(StatusCode::NO_CONTENT),
        ProfileDeletion::InUse(endpoints) => Err(ApiError::new(
            ErrorCode::ProfileInUse,
            format!("{endpoints} endpoints use this profile. Give them another one first."),
        )),
        ProfileDeletion::Missing => Err(ApiError::not_found()),
    }
}
