//! Builds the request of an attempt: the delivery's profile, the endpoint's URL, secrets and
//! headers as they are now.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};
use signpost_broker::DeliveryMessage;
use signpost_egress::{Failure, FailureCode, Request, Sent};
use signpost_wire::{AttemptParts, EventParts, Scope, Signature};

use crate::directory::{EndpointEntry, LoadedProfile, TenantDirectory};

/// Builds the request.
///
/// # Errors
/// When it must not be made: the answer to record instead. Nothing has been sent.
pub(super) fn build(
    message: &DeliveryMessage,
    tenant: &TenantDirectory,
    endpoint: &EndpointEntry,
    profile: &LoadedProfile,
    timeout: Duration,
    now: DateTime<Utc>,
) -> Result<Request, Sent> {
    let target = match &endpoint.target {
        Ok(target) => target.clone(),
        Err(error) => return Err(refused(&error.to_string())),
    };
    let event = EventParts {
        id: message.event_id.as_str(),
        event_type: message.event_type.as_str(),
        tenant: message.tenant.as_str(),
        occurred_at: message.occurred_at,
    };
    let attempt = AttemptParts {
        delivery_id: message.delivery_id.as_str(),
        number: message.attempt,
        at: now,
    };
    let secrets = match profile.wire.signature().map(Signature::scope) {
        Some(Scope::Tenant) => &tenant.secrets,
        Some(Scope::Endpoint) | None => &endpoint.secrets,
    };
    let keys = secrets.keys(&profile.wire, now);
    let keys = keys.map_err(|error| refused(&error.to_string()))?;
    let rendered = profile
        .wire
        .render_headers(&event, &attempt, &message.body, &keys)
        .map_err(|error| refused(&error.to_string()))?;
    let mut headers = Vec::with_capacity(rendered.len() + endpoint.headers.len() + 1);
    for (name, value) in rendered {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(&value);
        match (name, value) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            (Err(_), _) | (_, Err(_)) => {
                return Err(refused("a header of the profile cannot be sent"));
            }
        }
    }
    headers.extend(endpoint.headers.iter().cloned());
    if let Some(traceparent) = &message.traceparent
        && let Ok(value) = HeaderValue::from_str(traceparent)
    {
        headers.push((HeaderName::from_static("traceparent"), value));
    }
    Ok(Request {
        target,
        headers,
        body: message.body.clone(),
        timeout,
        now,
    })
}

fn refused(detail: &str) -> Sent {
    Sent::refused(Failure {
        code: FailureCode::TargetNotAllowed,
        detail: detail.to_owned().into(),
        status: None,
        is_own_fault: false,
    })
}
