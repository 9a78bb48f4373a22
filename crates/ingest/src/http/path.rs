//! Ids in the path. A text that is no id of its kind names nothing: 404, not 400.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::error::ApiError;

/// The last parameter of the path, as the id it should be.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // Fails only on bytes that are no UTF-8, which no id holds.
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_not_utf8| ApiError::not_found())?;
        let last = params.iter().last().map(|(_name, value)| value);
        let id = last.and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(ApiError::not_found)
    }
}
