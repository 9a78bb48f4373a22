//! Verification: what is refused, and what the refusal says.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use signpost_wire::{Algorithm, DEFAULT_TOLERANCE, Profile, Verified, VerifyError, VerifyingKey};

use crate::support::{attempt, ed25519_profile, event, key, profile, signed};

const BODY: &[u8] = br#"{"a":1}"#;

fn verify(
    profile: &Profile,
    headers: &[(String, String)],
    keys: &[VerifyingKey],
) -> Result<Verified, VerifyError> {
    profile.verify(headers, BODY, keys, attempt().at, Some(DEFAULT_TOLERANCE))
}

/// The headers with one of them changed, or removed.
fn with(headers: &[(String, String)], name: &str, value: Option<&str>) -> Vec<(String, String)> {
    let others = headers
        .iter()
        .filter(|(other, _)| !other.eq_ignore_ascii_case(name))
        .cloned();
    others
        .chain(value.map(|value| (name.to_owned(), value.to_owned())))
        .collect()
}

#[test]
fn says_which_key_signed_and_what_was_signed() {
    let profile = profile("standard-webhooks");
    let old = profile
        .verifying_key("whsec_cHJldmlvdXMtc2VjcmV0LW9mLXRoZS1lbmRwb2ludA==")
        .unwrap();
    let headers = signed(&profile, BODY, &[key(&profile)]);
    let verified = verify(&profile, &headers, &[old, key(&profile).verifying_key()]).unwrap();
    let event_id = Some(event().id.to_owned());
    assert_eq!(
        verified,
        Verified {
            key: 1,
            event_id,
            signed_at: Some(attempt().at)
        }
    );
    assert_eq!(
        profile.signed_content(&headers, BODY).unwrap(),
        br#"evt_01hm6x0000e8r9x1s3f2k4m5n6.1705314612.{"a":1}"#
    );
    let slack = crate::support::profile("slack");
    let headers = signed(&slack, BODY, &[key(&slack)]);
    assert_eq!(
        slack.signed_content(&headers, BODY).unwrap(),
        br#"v0:1705314612:{"a":1}"#
    );
}

#[test]
fn empty_and_cut_signatures_are_refused() {
    for builtin in signpost_wire::builtin() {
        let profile = &builtin.profile;
        let scheme = profile.signature().unwrap();
        let headers = signed(profile, BODY, &[key(profile)]);
        let value = crate::support::header(&headers, scheme.header())
            .unwrap()
            .to_owned();
        let keys = [key(profile).verifying_key()];
        verify(profile, &headers, &keys).unwrap();
        for end in 0..value.len() {
            let cut = with(&headers, scheme.header(), Some(&value[..end]));
            let error = verify(profile, &cut, &keys).unwrap_err();
            assert!(
                matches!(error, VerifyError::SignatureMalformed { .. }),
                "{}: {error}",
                builtin.name
            );
        }
        let padded = with(&headers, scheme.header(), Some(&format!("{value}A")));
        assert!(verify(profile, &padded, &keys).is_err());
    }
}

#[test]
fn an_unsigned_request_is_refused_even_where_signing_is_optional() {
    for name in ["license-manager", "standard-webhooks"] {
        let profile = profile(name);
        let scheme = profile.signature().unwrap();
        let headers = signed(&profile, BODY, &[key(&profile)]);
        let bare = with(&headers, scheme.header(), None);
        let error = verify(&profile, &bare, &[key(&profile).verifying_key()]).unwrap_err();
        assert!(
            matches!(&error, VerifyError::HeaderMissing { header, .. } if header == scheme.header())
        );
    }
}

#[test]
fn headers_are_found_whatever_their_case_but_only_once() {
    let profile = profile("standard-webhooks");
    let keys = [key(&profile).verifying_key()];
    let headers = signed(&profile, BODY, &[key(&profile)]);
    let upper: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.to_uppercase(), value.clone()))
        .collect();
    verify(&profile, &upper, &keys).unwrap();
    for name in ["webhook-id", "Webhook-Timestamp", "webhook-signature"] {
        let mut twice = headers.clone();
        twice.push((name.to_owned(), "1".to_owned()));
        let error = verify(&profile, &twice, &keys).unwrap_err();
        assert_eq!(
            error,
            VerifyError::HeaderRepeated {
                header: name.to_lowercase()
            }
        );
    }
}

#[test]
fn the_id_and_the_time_are_part_of_what_is_signed() {
    let profile = profile("standard-webhooks");
    let keys = [key(&profile).verifying_key()];
    let headers = signed(&profile, BODY, &[key(&profile)]);
    for (name, value) in [
        ("webhook-id", "evt_other"),
        ("webhook-timestamp", "1705314613"),
    ] {
        let error = verify(&profile, &with(&headers, name, Some(value)), &keys).unwrap_err();
        assert!(matches!(error, VerifyError::Mismatch { .. }), "{error}");
    }
    for bad in [
        "",
        "now",
        "-1",
        "+1705314612",
        "1705314612.0",
        " 1705314612",
        "99999999999999999999",
    ] {
        let error = verify(
            &profile,
            &with(&headers, "webhook-timestamp", Some(bad)),
            &keys,
        )
        .unwrap_err();
        assert!(
            matches!(error, VerifyError::TimestampMalformed { .. }),
            "{bad}: {error}"
        );
    }
}

#[test]
fn old_and_future_requests_are_refused_outside_the_tolerance() {
    for name in ["standard-webhooks", "stripe", "slack"] {
        let profile = profile(name);
        let keys = [key(&profile).verifying_key()];
        let headers = signed(&profile, BODY, &[key(&profile)]);
        let at = |seconds| {
            let now = attempt().at + TimeDelta::seconds(seconds);
            profile.verify(&headers, BODY, &keys, now, Some(Duration::from_secs(300)))
        };
        assert!(at(300).is_ok() && at(-300).is_ok());
        assert!(matches!(at(301), Err(VerifyError::TooOld { .. })));
        assert!(matches!(at(-301), Err(VerifyError::TooNew { .. })));
        let long_after = DateTime::UNIX_EPOCH;
        profile
            .verify(&headers, BODY, &keys, long_after, None)
            .unwrap();
    }
}

#[test]
fn signatures_of_other_schemes_beside_a_valid_one_are_passed_over() {
    let standard = profile("standard-webhooks");
    let headers = signed(&standard, BODY, &[key(&standard)]);
    let value = crate::support::header(&headers, "webhook-signature").unwrap();
    for value in [
        format!("v1a,hnO3f9T8Ytu9HwrXslvumg== {value} v2,abc"),
        format!("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= {value}"),
    ] {
        let headers = with(&headers, "webhook-signature", Some(&value));
        verify(&standard, &headers, &[key(&standard).verifying_key()]).unwrap();
    }
    let stripe = profile("stripe");
    let headers = signed(&stripe, BODY, &[key(&stripe)]);
    let value = crate::support::header(&headers, "stripe-signature").unwrap();
    let with_v0 = with(
        &headers,
        "stripe-signature",
        Some(&format!("{value},v0=6ffbb5")),
    );
    verify(&stripe, &with_v0, &[key(&stripe).verifying_key()]).unwrap();
    let two_times = with(&headers, "stripe-signature", Some(&format!("t=1,{value}")));
    assert!(verify(&stripe, &two_times, &[key(&stripe).verifying_key()]).is_err());
}

#[test]
fn refusals_say_what_was_expected() {
    let stripe = profile("stripe");
    let keys = [key(&stripe).verifying_key()];
    let none: [(&str, &str); 0] = [];
    let text = |error: VerifyError| error.to_string();
    assert_eq!(
        text(
            stripe
                .verify(&none, BODY, &keys, attempt().at, None)
                .unwrap_err()
        ),
        "header `Stripe-Signature` is missing; \
         it must be: t=<unix seconds>,v1=<64 characters of hex>"
    );
    let headers = signed(&stripe, b"other", &[key(&stripe)]);
    assert_eq!(
        text(verify(&stripe, &headers, &keys).unwrap_err()),
        "no signature matches: expected hmac-sha256 over `{timestamp}.{body}`, where the body has \
         7 bytes exactly as received; found 1 signature, tried with 1 key"
    );
    assert_eq!(
        text(
            stripe
                .verify(&headers, BODY, &[], attempt().at, None)
                .unwrap_err()
        ),
        "a key for hmac-sha256 is needed"
    );
    let unsigned = Profile::parse(r#"{"body":"{data}"}"#).unwrap();
    assert_eq!(
        verify(&unsigned, &headers, &keys),
        Err(VerifyError::ProfileSignsNothing)
    );
    let pair = ed25519_profile();
    let wrong = verify(&pair, &headers, &keys);
    assert_eq!(wrong, Err(VerifyError::NoKey(Algorithm::Ed25519)));
}

#[test]
fn hex_in_capitals_is_not_the_signature() {
    let profile = profile("privato");
    let headers = signed(&profile, BODY, &[key(&profile)]);
    let value = crate::support::header(&headers, "x-signature")
        .unwrap()
        .to_uppercase();
    let headers = with(&headers, "X-Signature", Some(&value));
    assert!(verify(&profile, &headers, &[key(&profile).verifying_key()]).is_err());
}
