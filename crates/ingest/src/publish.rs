//! Publishes events: reads them, checks them, hands them to the broker and waits for its confirm.
//!
//! The hot path: nothing here asks the database while the caches are warm, and `data` is never
//! copied or written anew. An `Ok` means that a quorum queue has the event.

pub mod batch;
pub mod read;

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, HeaderName};
use signpost_broker::EventMessage;
use signpost_domain::{Event, EventId, TenantId};
use signpost_runtime::{crash_point, sabotaged};

use crate::{
    api::events::model::{BatchResult, RejectedItem},
    app::Parts,
    error::{ApiError, ApiResult, ErrorCode},
    idempotency,
};
use read::{Context, read_event};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// How often an event has been through Signpost already; set by its deliveries.
const HOP: HeaderName = HeaderName::from_static("webhook-hop");
/// An event that has come round more often than this is refused: two Signposts, or an endpoint
/// that reports what it receives, would otherwise send each other the same thing for ever.
const MAX_HOPS: u32 = 4;
/// Longest `Idempotency-Key` of a batch.
const MAX_BATCH_KEY: usize = 124;

/// Publishes one event.
///
/// # Errors
/// What is wrong with the event, or why the broker does not have it.
pub async fn one(
    app: &Parts,
    tenant: &TenantId,
    headers: &HeaderMap,
    body: &Bytes,
) -> ApiResult<Event> {
    check_hops(headers)?;
    app.backlog.check()?;
    let context = Context {
        tenant,
        now: app.clock.now(),
        max_bytes: app.max_event_bytes,
        id: read_id(headers)?,
    };
    let event = read_event(body, body, &context)?;
    publish(app, &event, traceparent(headers)).await?;
    Ok(event)
}

/// Publishes a batch, all events in flight at once.
///
/// # Errors
/// The batch as a whole cannot be read, or the broker has taken none of it.
pub async fn many(
    app: &Parts,
    tenant: &TenantId,
    headers: &HeaderMap,
    body: &Bytes,
    is_lines: bool,
) -> ApiResult<BatchResult> {
    check_hops(headers)?;
    app.backlog.check()?;
    let key = read_batch_key(headers)?;
    let items = if is_lines {
        batch::split_lines(body)?
    } else {
        batch::split_array(body)?
    };
    let now = app.clock.now();
    let traceparent = traceparent(headers);
    let published = items.iter().enumerate().map(|(index, item)| async move {
        let id = key
            .map(|key| EventId::parse(&format!("{key}-{index}")))
            .transpose();
        let context = Context {
            tenant,
            now,
            max_bytes: app.max_event_bytes,
            id: id.map_err(|error| bad_key(&error))?,
        };
        let event = read_event(body, item, &context)?;
        publish(app, &event, traceparent).await?;
        Ok(event.id)
    });
    let results: Vec<ApiResult<EventId>> = join_all(published).await;
    collect(app, results)
}

fn collect(app: &Parts, results: Vec<ApiResult<EventId>>) -> ApiResult<BatchResult> {
    let mut result = BatchResult {
        accepted: Vec::with_capacity(results.len()),
        rejected: Vec::new(),
    };
    let mut outage = None;
    for (index, item) in results.into_iter().enumerate() {
        match item {
            Ok(id) => result.accepted.push(id.as_str().to_owned()),
            Err(error) => {
                app.metrics.count_rejected(error.code());
                result.rejected.push(RejectedItem {
                    index,
                    code: error.code(),
                    detail: error.detail().to_owned(),
                });
                if error.code().status().is_server_error() {
                    outage = Some(error);
                }
            }
        }
    }
    match outage {
        // Nothing is done and trying again will help: say so in the way that clients know.
        Some(error) if result.accepted.is_empty() => Err(error),
        Some(_) | None => Ok(result),
    }
}

async fn publish(app: &Parts, event: &Event, traceparent: Option<&str>) -> ApiResult<()> {
    let problems = app
        .catalogs
        .problems(&event.tenant, &event.event_type, &event.data)
        .await;
    if !problems.is_empty() {
        return Err(ApiError::listing(ErrorCode::SchemaViolation, problems));
    }
    let mut message = EventMessage::encode(event, traceparent);
    // So that the dispatcher does not count it as published over AMQP.
    message.properties = message.properties.with_app_id("signpost-ingest");
    crash_point("before-publish");
    if sabotaged("answer-before-confirm") {
        let publisher = app.publisher.clone();
        tokio::spawn(async move { publisher.publish_confirmed(message).await });
    } else {
        app.publisher.publish_confirmed(message).await?;
    }
    crash_point("after-confirm-before-2xx");
    app.metrics.count_accepted();
    Ok(())
}

/// The event's id from the `Idempotency-Key`.
fn read_id(headers: &HeaderMap) -> ApiResult<Option<EventId>> {
    let key = idempotency::read_key(headers)?;
    let id = key.map(EventId::parse).transpose();
    id.map_err(|error| bad_key(&error))
}

/// The beginning of the events' ids from the `Idempotency-Key`: room for `-999` must be left.
fn read_batch_key(headers: &HeaderMap) -> ApiResult<Option<&str>> {
    let Some(key) = idempotency::read_key(headers)? else {
        return Ok(None);
    };
    EventId::parse(key).map_err(|error| bad_key(&error))?;
    if key.len() > MAX_BATCH_KEY {
        let detail =
            format!("The Idempotency-Key of a batch has at most {MAX_BATCH_KEY} characters.");
        return Err(ApiError::new(ErrorCode::InvalidHeader, detail));
    }
    Ok(Some(key))
}

fn bad_key(error: &signpost_domain::IdError) -> ApiError {
    ApiError::new(
        ErrorCode::InvalidHeader,
        format!("The Idempotency-Key becomes the event's id, but {error}."),
    )
}

/// The caller's trace context (<https://www.w3.org/TR/trace-context/#traceparent-header>).
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(TRACEPARENT)?
        .to_str()
        .ok()
        .filter(|text| text.len() == 55)
}

fn check_hops(headers: &HeaderMap) -> ApiResult<()> {
    let hops = headers
        .get(HOP)
        .and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    if hops.is_some_and(|hops| hops > MAX_HOPS) {
        let detail = format!("The header webhook-hop says more than {MAX_HOPS}: a circle.");
        return Err(ApiError::new(ErrorCode::TooManyHops, detail));
    }
    Ok(())
}
