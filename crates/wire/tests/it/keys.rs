//! Secrets: which texts are keys, and that none of them leaks.

use signpost_wire::{Profile, SecretError};

use crate::support::{ed25519_profile, profile, secret};

/// base64 of that many bytes.
fn whsec(bytes: usize) -> String {
    let body = "QUFB".repeat(bytes / 3);
    let rest = ["", "QQ==", "QUE="][bytes % 3];
    format!("whsec_{body}{rest}")
}

#[test]
fn standard_webhooks_secrets_have_24_to_64_bytes() {
    let profile = profile("standard-webhooks");
    for (bytes, fits) in [
        (0, false),
        (23, false),
        (24, true),
        (32, true),
        (64, true),
        (65, false),
    ] {
        let found = profile.signing_key(&whsec(bytes));
        assert_eq!(found.is_ok(), fits, "{bytes}");
        if let Err(error) = found {
            assert_eq!(
                error,
                SecretError::Length {
                    found: bytes,
                    needed: "24 to 64 bytes"
                }
            );
        }
    }
}

#[test]
fn what_is_no_secret_is_refused_and_not_repeated_in_the_error() {
    let (hmac, pair) = (profile("standard-webhooks"), ed25519_profile());
    let private = pair.generate_secret(&[1; 32]).to_string();
    let public = pair.signing_key(&private).unwrap().public_key().unwrap();
    let cases: &[(&Profile, &str, &str)] = &[
        (&hmac, "", "1 to 512"),
        (
            &hmac,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
            "line break",
        ),
        (
            &hmac,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS_",
            "not base64",
        ),
        (&hmac, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "not base64"),
        (&hmac, &private, "this is a private Ed25519 key"),
        (&hmac, &public, "this is a public Ed25519 key"),
        (
            &pair,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "needs a private Ed25519 key",
        ),
        (&pair, &public, "needs a private Ed25519 key"),
        (
            &pair,
            "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "24 bytes; it must have 32 or 64",
        ),
    ];
    for (profile, text, says) in cases {
        let error = profile.signing_key(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert!(text.len() < 20 || !error.contains(&text[6..20]), "{error}");
    }
    let long = "a".repeat(513);
    assert_eq!(
        profile("github").signing_key(&long).unwrap_err(),
        SecretError::Text
    );
}

#[test]
fn a_pair_whose_halves_do_not_fit_and_weak_points_are_refused() {
    let profile = ed25519_profile();
    let one = profile.generate_secret(&[1; 32]);
    let two = profile.generate_secret(&[2; 32]);
    // 5 characters of prefix and the base64 of the first 30 bytes, which are private.
    let mixed = format!("{}{}", &one[..45], &two[45..]);
    assert_eq!(
        profile.signing_key(&mixed).unwrap_err(),
        SecretError::KeyPair
    );
    for point in [
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ] {
        let error = profile.verifying_key(&format!("whpk_{point}")).unwrap_err();
        assert_eq!(error, SecretError::PublicKey);
    }
}

#[test]
fn a_made_secret_fits_its_profile_and_every_other_hmac_profile() {
    for builtin in signpost_wire::builtin() {
        let made = builtin.profile.generate_secret(&[9; 32]);
        assert_eq!(*made, "whsec_CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=");
        builtin.profile.signing_key(&made).unwrap();
    }
    let pair = ed25519_profile();
    let made = pair.generate_secret(&[9; 32]);
    assert!(made.starts_with("whsk_") && made.len() == 5 + 88);
    assert!(pair.signing_key(&made).is_ok());
}

#[test]
fn debug_shows_no_key() {
    for profile in [
        profile("standard-webhooks"),
        profile("github"),
        ed25519_profile(),
    ] {
        let made = profile.generate_secret(&[9; 32]);
        let key = profile.signing_key(&made).unwrap();
        let text = format!("{key:?} {:?}", key.verifying_key());
        assert!(text.contains("redacted") && text.len() < 90, "{text}");
    }
}

#[test]
fn a_profile_without_a_signature_takes_no_secret() {
    let profile = Profile::parse(r#"{"body":"{data}"}"#).unwrap();
    assert_eq!(
        profile.signing_key("secret").unwrap_err(),
        SecretError::ProfileSignsNothing
    );
    assert_eq!(
        profile.verifying_key("secret").unwrap_err(),
        SecretError::ProfileSignsNothing
    );
}

#[test]
fn a_utf8_secret_is_used_with_its_prefix() {
    let github = profile("github");
    let with = github
        .signing_key("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=")
        .unwrap();
    let without = github.signing_key("c2VjcmV0LXNlY3JldC1zZWNyZXQ=").unwrap();
    let value = |key| crate::support::signed(&github, b"1", &[key]);
    assert_ne!(value(with), value(without));
    assert_ne!(secret(&github), secret(&profile("standard-webhooks")));
}
