//! Sends a test event to an endpoint: one attempt, now, no retry, recorded.

use std::time::Duration;

use axum::{Json, extract::State};
use bytes::Bytes;
use serde_json::{Value, json};
use signpost_domain::{EndpointId, Event, EventId, EventType};

use super::model::{TestEvent, TestResult};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult, ErrorCode},
    http::{Id, JsonBody},
    test_send,
};

/// Type of a test event that names none.
const DEFAULT_TYPE: &str = "signpost.test";
/// Test sends at once per endpoint, and the time after which one more is allowed.
pub const BURST: u32 = 5;
/// See [`BURST`].
pub const INTERVAL: Duration = Duration::from_secs(20);

/// Sends a test event, once and now
///
/// The endpoint's patterns, filter and status do not matter. The attempt is recorded with the
/// trigger `test`. Five at once, then one each 20 seconds.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/endpoints/{id}/test", tag = "Endpoints",
    params(
        ("tenant" = String, Path, description = "The tenant", example = "acme"),
        ("id" = String, Path, description = "The endpoint's id", example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e"),
    ),
    request_body = Option<TestEvent>,
    responses(
        (status = 200, description = "What the receiver answered", body = TestResult),
        (status = 429, description = "Too many tests"),
    )
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Id(id): Id<EndpointId>,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<Json<TestResult>> {
    let event_type = fields.parsed("type", EventType::parse);
    let data = fields.any("data");
    fields.finish()?;
    let endpoint = app.store.find_endpoint(&tenant, &id).await?;
    let endpoint = endpoint.ok_or_else(ApiError::not_found)?;
    if let Err(wait) = app.test_sends.take((tenant.clone(), id)) {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX) + 1;
        let detail = "This endpoint was tested a moment ago.";
        return Err(ApiError::new(ErrorCode::TooManyRequests, detail).retry_after(seconds));
    }
    let now = app.clock.now();
    let event = Event {
        id: EventId::generate(now, rand::random()),
        event_type: match event_type {
            Some(event_type) => event_type,
            None => EventType::parse(DEFAULT_TYPE).map_err(|error| ApiError::internal(&error))?,
        },
        occurred_at: chrono::SubsecRound::trunc_subsecs(now, 6),
        data: Bytes::from(data.unwrap_or_else(greeting).to_string()),
        tenant,
    };
    test_send::send(&app, event, endpoint).await.map(Json)
}

fn greeting() -> Value {
    json!({"test": true, "message": "This is a test event from Signpost."})
}
