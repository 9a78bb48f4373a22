//! Accepts many events at once.

use std::time::Duration;

use axum::{
    Json,
    extract::{Request, State},
};
use http::StatusCode;

use super::model::{BatchResult, NewEvents};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult, ErrorCode},
    http::body,
    publish,
};

/// Largest body of a batch.
const BATCH_LIMIT: usize = 16 * 1024 * 1024;
/// How long a batch waits while others are being read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reports up to 1,000 events at once
///
/// As a JSON array, or as NDJSON (`Content-Type: application/x-ndjson`) with one event per line; at
/// most 16 MiB. Each event is judged by itself: `rejected` names those that were refused. An
/// `Idempotency-Key` gives events without an `id` the ids `KEY-0`, `KEY-1` …, by their place.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/events/batch", tag = "Events",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    request_body(content(
        (NewEvents = "application/json"),
        (String = "application/x-ndjson",
            example = json!("{\"type\":\"license.created\",\"data\":{}}\n{\"type\":\"license.expired\",\"data\":{}}"))
    )),
    responses((status = 202, description = "What became of each event", body = BatchResult))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    request: Request,
) -> ApiResult<(StatusCode, Json<BatchResult>)> {
    let (parts, content) = request.into_parts();
    let is_lines = body::has_type(&parts.headers, "application/x-ndjson");
    if !is_lines {
        body::require_json(&parts.headers)?;
    }
    // Large bodies are in memory at the same time only so many at once.
    let place = tokio::time::timeout(PATIENCE, app.batches.acquire()).await;
    let Ok(Ok(_place)) = place else {
        let detail = "Too many batches are being read. Come back in a moment.";
        return Err(ApiError::new(ErrorCode::Overloaded, detail).retry_after(1));
    };
    let content = body::read(&parts.headers, content, BATCH_LIMIT).await?;
    let result = publish::many(&app, &tenant, &parts.headers, &content, is_lines).await?;
    Ok((StatusCode::ACCEPTED, Json(result)))
}
