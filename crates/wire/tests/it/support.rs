//! What the tests share: one event, one attempt, a secret per profile.

use chrono::{DateTime, Utc};
use signpost_wire::{AttemptParts, EventParts, KeyForm, Profile, SigningKey, find_builtin};

/// 15 January 2024, 10:30:00.692694 UTC.
pub(crate) fn occurred_at() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_705_314_600_692_694).unwrap()
}

pub(crate) fn event() -> EventParts<'static> {
    EventParts {
        id: "evt_01hm6x0000e8r9x1s3f2k4m5n6",
        event_type: "license.created",
        tenant: "456",
        occurred_at: occurred_at(),
    }
}

/// The second attempt, twelve seconds after the event.
pub(crate) fn attempt() -> AttemptParts<'static> {
    AttemptParts {
        delivery_id: "dlv_01hm6x0000f7s8y2t4g3m5n6p7",
        number: 2,
        at: DateTime::from_timestamp(1_705_314_612, 0).unwrap(),
    }
}

/// JSON that no parser and writer would give back unchanged.
pub(crate) const DATA: &str =
    r#"{ "z":1.0, "a": 12345678901234567890,"big":1e400, "text":"\u00e9\/é😀","dup":1,"dup":2 }"#;

pub(crate) fn profile(name: &str) -> Profile {
    find_builtin(name).unwrap()
}

/// A secret in the form that the profile's users have.
pub(crate) fn secret(profile: &Profile) -> &'static str {
    match profile.signature().unwrap().key_form() {
        KeyForm::Utf8 => "a-shared-secret-0123456789",
        KeyForm::Base64AfterPrefix => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
}

pub(crate) fn key(profile: &Profile) -> SigningKey {
    profile.signing_key(secret(profile)).unwrap()
}

/// The headers of a signed attempt, owned.
pub(crate) fn signed(profile: &Profile, body: &[u8], keys: &[SigningKey]) -> Vec<(String, String)> {
    signed_at(profile, body, keys, &attempt())
}

pub(crate) fn signed_at(
    profile: &Profile,
    body: &[u8],
    keys: &[SigningKey],
    attempt: &AttemptParts<'_>,
) -> Vec<(String, String)> {
    let headers = profile
        .render_headers(&event(), attempt, body, keys)
        .unwrap();
    headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub(crate) fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let found = headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// The ed25519 profile of Standard Webhooks, which is not built in.
pub(crate) fn ed25519_profile() -> Profile {
    Profile::parse(
        r#"{
            "body": {"type": "{type}", "timestamp": "{timestamp}", "data": "{data}"},
            "headers": {"webhook-id": "{id}", "webhook-timestamp": "{attempt_timestamp}"},
            "signature": {
                "header": "webhook-signature", "algorithm": "ed25519",
                "content": "{id}.{timestamp}.{body}", "encoding": "base64",
                "value": "v1a,{signature}", "separator": " "
            }
        }"#,
    )
    .unwrap()
}
