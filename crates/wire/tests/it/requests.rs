//! Rendering: headers of an attempt, rotation, and what must never be sent.

use chrono::TimeDelta;
use signpost_wire::{Algorithm, AttemptParts, BuildError, EventParts, Profile, Scope, USER_AGENT};

use crate::support::{
    DATA, attempt, ed25519_profile, event, header, key, occurred_at, profile, signed, signed_at,
};

#[test]
fn a_retry_has_the_same_body_and_id_but_a_fresh_time_and_signature() {
    let profile = profile("standard-webhooks");
    let body = profile.render_body(&event(), DATA.as_bytes());
    let first = signed(&profile, &body, &[key(&profile)]);
    let later = AttemptParts {
        number: 3,
        at: attempt().at + TimeDelta::hours(2),
        ..attempt()
    };
    let second = signed_at(&profile, &body, &[key(&profile)], &later);
    assert_eq!(body, profile.render_body(&event(), DATA.as_bytes()));
    assert_eq!(header(&first, "webhook-id"), header(&second, "webhook-id"));
    assert_eq!(header(&first, "webhook-timestamp"), Some("1705314612"));
    assert_eq!(header(&second, "webhook-timestamp"), Some("1705321812"));
    assert_ne!(
        header(&first, "webhook-signature"),
        header(&second, "webhook-signature")
    );
}

#[test]
fn in_a_rotation_all_keys_sign_where_the_header_has_room() {
    for (name, form) in [
        ("standard-webhooks", vec!["v1,", "v1,"]),
        ("stripe", vec!["t=1705314612", "v1=", "v1="]),
        ("github", vec!["sha256="]),
        ("slack", vec!["v0="]),
        ("privato", vec![""]),
    ] {
        let profile = profile(name);
        let old = profile
            .signing_key("whsec_cHJldmlvdXMtc2VjcmV0LW9mLXRoZS1lbmRwb2ludA==")
            .unwrap();
        let headers = signed(&profile, b"{}", &[key(&profile), old]);
        let alone = signed(&profile, b"{}", &[key(&profile)]);
        let scheme = profile.signature().unwrap();
        let value = header(&headers, scheme.header()).unwrap();
        let separator = if name == "stripe" { ',' } else { ' ' };
        let parts: Vec<_> = value.split(separator).collect();
        assert_eq!(parts.len(), form.len(), "{value}");
        for (part, prefix) in parts.iter().zip(&form) {
            assert!(part.starts_with(prefix), "{value}");
        }
        assert!(
            value.starts_with(header(&alone, scheme.header()).unwrap()),
            "the current key is first"
        );
        assert_eq!(scheme.signs_with_all_keys(), form.len() > 1);
    }
}

#[test]
fn every_placeholder_of_a_header_is_filled() {
    let profile = Profile::parse(
        r#"{"body":"{data}","timestamp":{"rfc3339":3},"headers":{
            "X-All":"{type} {type_path} {id} {tenant} {timestamp} {attempt} {attempt_timestamp} {delivery_id}"
        }}"#,
    )
    .unwrap();
    assert_eq!(
        header(&signed(&profile, b"{}", &[]), "x-all"),
        Some(
            "license.created license/created evt_01hm6x0000e8r9x1s3f2k4m5n6 456 \
             2024-01-15T10:30:00.692Z 2 1705314612 dlv_01hm6x0000f7s8y2t4g3m5n6p7"
        )
    );
}

#[test]
fn content_type_and_user_agent_are_always_there_once() {
    for builtin in signpost_wire::builtin() {
        let headers = signed(&builtin.profile, b"{}", &[key(&builtin.profile)]);
        for name in ["content-type", "user-agent"] {
            let count = headers
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name))
                .count();
            assert_eq!(count, 1, "{}: {name}", builtin.name);
        }
        assert!(
            header(&headers, "content-type").is_some_and(|t| t.starts_with("application/json"))
        );
        let names: Vec<_> = builtin.profile.header_names().collect();
        assert!(
            headers
                .iter()
                .all(|(name, _)| names.contains(&name.as_str()))
        );
    }
    let agent = signed(&profile("privato"), b"{}", &[key(&profile("privato"))]);
    assert_eq!(header(&agent, "user-agent"), Some(USER_AGENT));
    assert_eq!(USER_AGENT, concat!("Signpost/", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_a_secret_only_license_manager_sends_and_then_unsigned() {
    for builtin in signpost_wire::builtin() {
        let found = builtin
            .profile
            .render_headers(&event(), &attempt(), b"{}", &[]);
        if builtin.name == "license-manager" {
            let names: Vec<_> = found.unwrap().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["Content-Type", "User-Agent", "X-Webhook-Event"]);
        } else {
            let scope = if builtin.name == "inprivy" {
                Scope::Tenant
            } else {
                Scope::Endpoint
            };
            assert_eq!(found, Err(BuildError::SecretMissing(scope)));
        }
    }
}

#[test]
fn a_key_for_another_algorithm_is_refused() {
    let pair = ed25519_profile();
    let key = pair.signing_key(&pair.generate_secret(&[1; 32])).unwrap();
    let github = profile("github");
    let found = github.render_headers(&event(), &attempt(), b"{}", &[key]);
    let wrong = BuildError::WrongKey {
        key: Algorithm::Ed25519,
        profile: Algorithm::HmacSha256,
    };
    assert_eq!(found, Err(wrong));
}

#[test]
fn no_value_can_add_a_header_line() {
    let evil = EventParts {
        event_type: "a\r\nX-Admin: 1",
        ..event()
    };
    let profile = profile("license-manager");
    let found = profile.render_headers(&evil, &attempt(), b"{}", &[]);
    assert_eq!(
        found,
        Err(BuildError::IllegalValue("X-Webhook-Event".to_owned()))
    );
}

#[test]
fn an_id_that_could_move_the_border_of_what_is_signed_is_refused() {
    let profile = profile("standard-webhooks");
    for id in ["evt.1705314612", "", "a b"] {
        let evil = EventParts {
            id,
            occurred_at: occurred_at(),
            ..event()
        };
        let found = profile.render_headers(&evil, &attempt(), b"{}", &[key(&profile)]);
        assert_eq!(found, Err(BuildError::AmbiguousField("id")), "{id:?}");
    }
}
