//! Repeated writes: the same request with the same `Idempotency-Key` is done once and answered
//! the same each time.
//!
//! `door` calls [`answer`] for every write but publishing, where the key becomes the event's id.
//! Only successes are kept; after an error the caller may try again with the same key. The store
//! encrypts what is kept, since an answer may hold a secret.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    handler::Handler,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use sha2::{Digest, Sha256};
use signpost_store::{Idempotency, IdempotentRequest};

use crate::{
    app::App,
    door::Scope,
    error::{ApiError, ErrorCode},
    http::body,
};

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that is given again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const MAX_KEY: usize = 128;
/// Longest answer to a write.
const MAX_KEPT: usize = 4 * 1024 * 1024;

/// The key that came with a request.
///
/// # Errors
/// `invalid_header` when it is empty, too long or not printable ASCII.
pub fn read_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let fits = (1..=MAX_KEY).contains(&text.len());
    if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(Some(text));
    }
    Err(ApiError::new(
        ErrorCode::InvalidHeader,
        format!("An Idempotency-Key has 1 to {MAX_KEY} characters of ASCII without spaces."),
    ))
}

/// Answers a write: by the handler, or with the answer that an earlier one got.
///
/// # Errors
/// The key was used for another request, or that one is still at work; or the handler's own.
pub async fn answer<H, T>(
    app: App,
    scope: &Scope,
    handler: H,
    request: Request,
) -> Result<Response, ApiError>
where
    H: Handler<T, App>,
    T: 'static,
{
    let Some(key) = read_key(request.headers())?.map(str::to_owned) else {
        return Ok(handler.call(request, app).await);
    };
    let (parts, content) = request.into_parts();
    let content = body::read(&parts.headers, content, body::MANAGEMENT_LIMIT).await?;
    let route = format!("{} {}", parts.method, parts.uri.path());
    let hash = Sha256::digest(&content).into();
    let this = IdempotentRequest {
        tenant: scope.tenant.as_ref(),
        route: &route,
        key: &key,
        hash: &hash,
    };
    match app.store.begin_request(this, app.clock.now()).await? {
        Idempotency::Act => {}
        Idempotency::Answer { status, body } => return Ok(again(status, body)),
        Idempotency::InProgress => {
            let detail = "The same request is still being handled. Ask again in a moment.";
            return Err(ApiError::new(ErrorCode::RequestInProgress, detail).retry_after(1));
        }
        Idempotency::KeyReused => {
            let detail = "This Idempotency-Key came with another request before. Use a new one.";
            return Err(ApiError::new(ErrorCode::IdempotencyKeyReused, detail));
        }
    }
    let request = Request::from_parts(parts, Body::from(content));
    let response = handler.call(request, Arc::clone(&app)).await;
    Ok(settle(&app, this, response).await)
}

/// Keeps a success; forgets anything else. That this may fail does not change the answer: what
/// was asked for has been done.
async fn settle(app: &App, request: IdempotentRequest<'_>, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let (body, kept) = match Limited::new(body, MAX_KEPT).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            let kept = if parts.status.is_success() {
                let status = parts.status.as_u16();
                app.store.finish_request(request, status, &body).await
            } else {
                app.store.forget_request(request).await
            };
            (Body::from(body), kept)
        }
        // No answer to a write is that large.
        Err(_too_large) => (Body::empty(), app.store.forget_request(request).await),
    };
    if let Err(error) = kept {
        let error = signpost_runtime::error_chain(&error).to_string();
        tracing::warn!(
            error,
            "an answer could not be kept for repeats of its request"
        );
    }
    Response::from_parts(parts, body)
}

/// The answer that an earlier request got.
fn again(status: u16, body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let has_body = !body.is_empty();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if has_body {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
