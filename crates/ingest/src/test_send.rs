//! A test send: one request to one endpoint, now, recorded like any other attempt.
//!
//! Called by the handler of `POST …/test`. The event and its one delivery are stored first, so
//! that whatever leaves is on record; no other endpoint gets the event, and no retry follows.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::value::RawValue;
use signpost_domain::{DeliveryId, Event, Outcome, TenantId, Trigger, parse_duration};
use signpost_egress::{Answer, Failure, FailureCode, Request, Sent, shown_headers};
use signpost_store::{
    Endpoint, FanoutEvent, InitialState, NewAttempt, NewDelivery, NextState, SecretScope,
    Settlement,
};
use signpost_wire::{AttemptParts, EventParts, Scope, SigningKey};

use crate::{
    api::{
        endpoints::model::TestResult,
        profiles::load::{self, LoadedProfile},
        secrets,
    },
    app::Parts,
    error::{ApiError, ApiResult},
};

/// How long after the attempt's timeout somebody else may take the delivery up, should this
/// process die in the middle.
const MARGIN: Duration = Duration::from_secs(60);

/// Sends the event to the endpoint, and records it.
///
/// # Errors
/// It could not be stored, so nothing was sent.
pub async fn send(app: &Parts, event: Event, endpoint: Endpoint) -> ApiResult<TestResult> {
    let profile = load::newest(app, &endpoint.settings.profile).await?;
    let profile = profile
        .ok_or_else(|| ApiError::internal_text("an endpoint has a profile that is not there"))?;
    let keys = signing_keys(app, &endpoint, &profile).await?;
    let timeout = endpoint.settings.timeout.as_deref().map(parse_duration);
    let timeout = timeout
        .and_then(Result::ok)
        .unwrap_or(profile.policy.timeout);
    let now = app.clock.now();
    let delivery_id = DeliveryId::generate(now, rand::random());
    store(app, &event, &endpoint, &profile, &delivery_id, now, timeout).await?;

    let parts = EventParts {
        id: event.id.as_str(),
        event_type: event.event_type.as_str(),
        tenant: event.tenant.as_str(),
        occurred_at: event.occurred_at,
    };
    let attempt = AttemptParts {
        delivery_id: delivery_id.as_str(),
        number: 1,
        at: now,
    };
    let body = profile.wire.render_body(&parts, &event.data);
    let headers =
        keys.and_then(|keys| headers(&profile, &endpoint, &parts, &attempt, &body, &keys));
    let (shown, sent) = match (headers, app.egress.target(&endpoint.settings.url)) {
        (Ok(headers), Ok(target)) => {
            let shown = shown_headers(&headers);
            let request = Request {
                target,
                headers,
                body,
                timeout,
                now,
            };
            (shown, app.egress.send(&request).await)
        }
        (Err(detail), _) => (shown_headers(&[]), refused(detail)),
        (Ok(_), Err(error)) => (shown_headers(&[]), refused(error.to_string())),
    };
    let judged = Judged::from(sent, &profile);
    record(app, &event.tenant, &delivery_id, shown, &judged, now).await;
    Ok(TestResult {
        success: judged.outcome == Outcome::Succeeded,
        status_code: judged.status_code,
        duration_ms: u64::from(judged.duration_ms),
        error: judged.error,
        response_body: judged
            .response_body
            .map(|body| String::from_utf8_lossy(&body).into_owned()),
        delivery_id: Some(delivery_id.to_string()),
    })
}

/// The keys that sign now, or why there are none; the outer error is the database's.
async fn signing_keys(
    app: &Parts,
    endpoint: &Endpoint,
    profile: &LoadedProfile,
) -> ApiResult<Result<Vec<SigningKey>, String>> {
    let live = match secrets::model::scope_of(&profile.wire) {
        None => return Ok(Ok(Vec::new())),
        Some(Scope::Tenant) => secrets::tenant_secrets(app, &endpoint.tenant).await?,
        Some(Scope::Endpoint) => {
            let scope = SecretScope::Endpoint(&endpoint.id);
            app.store
                .live_secrets(&endpoint.tenant, scope, app.clock.now())
                .await?
        }
    };
    let keys = live
        .iter()
        .map(|secret| profile.wire.signing_key(secret.secret.expose_secret()));
    Ok(keys
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string()))
}

async fn store(
    app: &Parts,
    event: &Event,
    endpoint: &Endpoint,
    profile: &LoadedProfile,
    delivery_id: &DeliveryId,
    now: DateTime<Utc>,
    timeout: Duration,
) -> ApiResult<()> {
    let stored = FanoutEvent {
        content_hash: event.content_hash(),
        event: event.clone(),
        traceparent: None,
        deliveries: vec![NewDelivery {
            id: delivery_id.clone(),
            endpoint_id: endpoint.id.clone(),
            state: InitialState::Pending {
                next_attempt_at: now + timeout + MARGIN,
            },
            profile: profile.name.clone(),
            profile_version: profile.version,
            trigger: Trigger::Test,
        }],
    };
    app.store.insert_fanout(now, &[stored]).await?;
    Ok(())
}

fn headers(
    profile: &LoadedProfile,
    endpoint: &Endpoint,
    event: &EventParts<'_>,
    attempt: &AttemptParts<'_>,
    body: &[u8],
    keys: &[SigningKey],
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let rendered = profile
        .wire
        .render_headers(event, attempt, body, keys)
        .map_err(|error| error.to_string())?;
    let rendered = rendered.iter().map(|(name, value)| (*name, value.as_str()));
    let own = endpoint.settings.headers.as_object().into_iter().flatten();
    let own = own.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let to_header = |(name, value): (&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    let headers: Option<Vec<_>> = rendered.chain(own).map(to_header).collect();
    headers.ok_or_else(|| "a header cannot be sent".to_owned())
}

fn refused(detail: String) -> Sent {
    Sent::refused(Failure {
        code: FailureCode::TargetNotAllowed,
        detail: detail.into(),
        status: None,
        is_own_fault: false,
    })
}

/// An answer, judged by the profile.
struct Judged {
    outcome: Outcome,
    status_code: Option<u16>,
    response_headers: Option<Box<RawValue>>,
    response_body: Option<Bytes>,
    error: Option<String>,
    duration_ms: u32,
}

impl Judged {
    fn from(sent: Sent, profile: &LoadedProfile) -> Self {
        let duration_ms = u32::try_from(sent.duration.as_millis()).unwrap_or(u32::MAX);
        match sent.answer {
            Answer::Response(response) => {
                let is_success = profile.policy.is_success(response.status);
                let (outcome, error) = if is_success {
                    (Outcome::Succeeded, None)
                } else {
                    let error = format!("the receiver answered {}", response.status);
                    (Outcome::HttpError, Some(error))
                };
                Self {
                    outcome,
                    status_code: Some(response.status),
                    response_headers: Some(shown_headers(&response.headers)),
                    response_body: Some(response.body),
                    error,
                    duration_ms,
                }
            }
            Answer::Failure(failure) => Self {
                outcome: failure.code.outcome(),
                status_code: failure.status,
                response_headers: None,
                response_body: None,
                error: Some(format!("{}: {}", failure.code.as_str(), failure.detail)),
                duration_ms,
            },
        }
    }
}

/// Writes the attempt down. The request has been made whether or not this succeeds, so the caller
/// gets its answer either way.
async fn record(
    app: &Parts,
    tenant: &TenantId,
    delivery_id: &DeliveryId,
    request_headers: Box<RawValue>,
    judged: &Judged,
    requested_at: DateTime<Utc>,
) {
    let finished_at = requested_at + Duration::from_millis(judged.duration_ms.into());
    let settlement = Settlement {
        tenant: tenant.clone(),
        delivery_id: delivery_id.clone(),
        attempt: NewAttempt {
            number: 1,
            trigger: Trigger::Test,
            outcome: judged.outcome,
            requested_at,
            responded_at: judged.status_code.map(|_| finished_at),
            duration_ms: judged.duration_ms,
            request_headers,
            status_code: judged.status_code,
            response_headers: judged.response_headers.clone(),
            response_body: judged.response_body.clone(),
            error: judged.error.clone(),
            next_attempt_at: None,
            retry_reason: None,
        },
        next: if judged.outcome == Outcome::Succeeded {
            NextState::Succeeded { finished_at }
        } else {
            NextState::Failed {
                finished_at,
                reason: "a test send is not retried".to_owned(),
            }
        },
    };
    if let Err(error) = app.store.settle(&[settlement]).await {
        let error = signpost_runtime::error_chain(&error).to_string();
        tracing::error!(delivery.id = %delivery_id, error, "a test send could not be recorded");
    }
}
