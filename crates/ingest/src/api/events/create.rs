//! Accepts an event: the way in.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;

use super::model::{AcceptedEvent, NewEvent};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::body,
    publish,
};

/// What may stand around `data` in the body.
const ENVELOPE: usize = 16 * 1024;

/// Reports an event
///
/// The answer comes once the message broker has the event safely; then Signpost delivers it to
/// every endpoint that wants it. When the broker is away the answer is 503: send the event again
/// with the same `id` (or the same `Idempotency-Key`), and it is delivered once.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/events", tag = "Events",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    request_body = NewEvent,
    responses((status = 202, description = "The event is safe", body = AcceptedEvent<'_>))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    request: Request,
) -> ApiResult<Response> {
    let (parts, content) = request.into_parts();
    let accepted = async {
        let content = body::read(&parts.headers, content, app.max_event_bytes + ENVELOPE).await?;
        body::require_json(&parts.headers)?;
        publish::one(&app, &tenant, &parts.headers, &content).await
    };
    let event = accepted.await.inspect_err(|error: &ApiError| {
        app.metrics.count_rejected(error.code());
    })?;
    let answer = AcceptedEvent {
        id: event.id.as_str(),
        event_type: event.event_type.as_str(),
        tenant: event.tenant.as_str(),
        occurred_at: event.occurred_at,
    };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
