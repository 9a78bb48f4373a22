//! Reads the body of a request: of the right type, not too large, in reasonable time.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::Fields;
use crate::error::{ApiError, ErrorCode};

/// Largest body of a management request. A JSON Schema is the largest thing among them.
pub const MANAGEMENT_LIMIT: usize = 1024 * 1024;
/// How long a body may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a body of at most `limit` bytes. A body that comes in one piece is not copied.
///
/// # Errors
/// `body_too_large`, `request_timeout`, or `invalid_json` when the connection broke.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::new(
            ErrorCode::BodyTooLarge,
            format!("The body of this request may have {limit} bytes."),
        )
    };
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(READ_TIMEOUT, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::new(
            ErrorCode::InvalidJson,
            format!("The body could not be read: {error}"),
        )),
        Err(_elapsed) => Err(ApiError::new(
            ErrorCode::RequestTimeout,
            "The body did not arrive within 30 seconds.",
        )),
    }
}

/// Whether the body is of media type `wanted`; parameters such as `charset=utf-8` are ignored.
pub fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let found = headers.get(header::CONTENT_TYPE);
    let found = found.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = found.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case(wanted)
}

/// Refuses a body that is not JSON.
///
/// # Errors
/// `unsupported_media_type`.
pub fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    if has_type(headers, "application/json") {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::UnsupportedMediaType,
        "Send JSON, with the header `Content-Type: application/json`.",
    ))
}

/// A JSON object as the body. An empty body is an empty object.
#[derive(Debug)]
pub struct JsonBody(pub Fields);

impl<S: Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, MANAGEMENT_LIMIT).await?;
        if !bytes.is_empty() {
            require_json(&parts.headers)?;
        }
        Fields::parse(&bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_measured_announced_or_not() {
        let mut headers = HeaderMap::new();
        let read_twelve =
            async |headers: &HeaderMap| read(headers, Body::from("twelve bytes"), 11).await;
        let error = read_twelve(&headers).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::BodyTooLarge);
        headers.insert(header::CONTENT_LENGTH, "12".parse().unwrap());
        let error = read_twelve(&headers).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::BodyTooLarge);
        assert_eq!(
            read(&headers, Body::from("twelve bytes"), 12)
                .await
                .unwrap(),
            "twelve bytes"
        );
    }

    #[test]
    fn media_types_are_compared_without_case_and_parameters() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            headers
        };
        assert!(require_json(&with("application/json")).is_ok());
        assert!(require_json(&with("Application/JSON; charset=utf-8")).is_ok());
        assert!(require_json(&with("text/json")).is_err());
        assert!(require_json(&HeaderMap::new()).is_err());
    }
}
