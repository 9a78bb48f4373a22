//! Wire profiles that an operator writes.

use std::slice;

use chrono::DateTime;
use serde_json::Value;
use signpost_domain::DeliveryPolicy;
use signpost_wire::{AttemptParts, EventParts, Profile};

use super::split;

/// A profile, `--`, and an event's data: what is accepted renders JSON, signs what it verifies, and
/// reads the same again.
pub(super) fn profile(data: &[u8]) -> bool {
    let (document, data) = split(data);
    let Ok(profile) = Profile::parse(&String::from_utf8_lossy(document)) else {
        return false;
    };
    Profile::from_document(profile.document().clone()).expect("it was accepted before");
    // What ingest asks beside the profile's own rules.
    let _policy = DeliveryPolicy::parse(profile.success(), profile.retry(), profile.timeout());
    let is_json = serde_json::from_slice::<Value>(data).is_ok();
    let data = if is_json { data } else { br#"{"n":1.0}"# };
    let event = EventParts {
        id: "evt_1",
        event_type: "license.created",
        tenant: "acme",
        occurred_at: DateTime::UNIX_EPOCH,
    };
    let attempt = AttemptParts {
        delivery_id: "dlv_1",
        number: 1,
        at: DateTime::UNIX_EPOCH,
    };
    let body = profile.render_body(&event, data);
    assert!(serde_json::from_slice::<Value>(&body).is_ok(), "{body:?}");
    let Some(signature) = profile.signature() else {
        return true;
    };
    let secret = profile.generate_secret(&[5; 32]);
    let key = profile.signing_key(&secret).expect("a secret of our own");
    let verifying = key.verifying_key();
    let headers = profile.render_headers(&event, &attempt, &body, slice::from_ref(&key));
    let headers = headers.expect("an accepted profile can be sent");
    let is_signed = headers.iter().any(|(name, _)| *name == signature.header());
    assert!(is_signed, "{headers:?}");
    let verified = profile.verify(&headers, &body, &[verifying], attempt.at, None);
    assert!(verified.is_ok(), "{verified:?}: {headers:?}");
    true
}
