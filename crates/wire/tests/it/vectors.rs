//! Signatures that others published: Standard Webhooks and Svix, GitHub, Slack, RFC 4231.

use chrono::DateTime;
use signpost_wire::{AttemptParts, EventParts, Profile};

use crate::support::{ed25519_profile, header, profile};

const STANDARD_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const STANDARD_BODY: &[u8] = br#"{"test": 2432232314}"#;

/// Renders the headers for a given body, id and time.
fn headers(
    profile: &Profile,
    secret: &str,
    id: &str,
    unix: i64,
    body: &[u8],
) -> Vec<(String, String)> {
    let at = DateTime::from_timestamp(unix, 0).unwrap();
    let event = EventParts {
        id,
        event_type: "test",
        tenant: "acme",
        occurred_at: at,
    };
    let attempt = AttemptParts {
        delivery_id: "dlv_1",
        number: 1,
        at,
    };
    let key = profile.signing_key(secret).unwrap();
    let headers = profile
        .render_headers(&event, &attempt, body, &[key])
        .unwrap();
    headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// From the test suites of the Standard Webhooks libraries.
#[test]
fn standard_webhooks_hmac_vector() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for secret in [secret, secret.strip_prefix("whsec_").unwrap()] {
        let profile = profile("standard-webhooks");
        let headers = headers(&profile, secret, STANDARD_ID, 1_614_265_330, STANDARD_BODY);
        assert_eq!(
            header(&headers, "webhook-signature"),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        assert_eq!(header(&headers, "webhook-id"), Some(STANDARD_ID));
        assert_eq!(header(&headers, "webhook-timestamp"), Some("1614265330"));
    }
}

/// The key pair of the Svix server's own test; its signature is also the example in the Standard
/// Webhooks specification.
#[test]
fn standard_webhooks_ed25519_vector() {
    let pair =
        "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let public = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    let profile = ed25519_profile();
    for secret in [
        &format!("whsk_{pair}"),
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=",
    ] {
        let headers = headers(&profile, secret, STANDARD_ID, 1_614_265_330, STANDARD_BODY);
        assert_eq!(
            header(&headers, "webhook-signature"),
            Some(
                "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
            )
        );
        assert_eq!(
            profile.signing_key(secret).unwrap().public_key().as_deref(),
            Some(public)
        );
        let now = DateTime::from_timestamp(1_614_265_330, 0).unwrap();
        for key in [secret, public] {
            let key = profile.verifying_key(key).unwrap();
            profile
                .verify(&headers, STANDARD_BODY, &[key], now, None)
                .unwrap();
        }
    }
}

/// "Validating webhook deliveries" in GitHub's documentation.
#[test]
fn github_vector() {
    let profile = profile("github");
    let headers = headers(
        &profile,
        "It's a Secret to Everybody",
        "evt_1",
        1,
        b"Hello, World!",
    );
    assert_eq!(
        header(&headers, "X-Hub-Signature-256"),
        Some("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
    );
}

/// "Verifying requests from Slack" in Slack's documentation.
#[test]
fn slack_vector() {
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
        &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
        &command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands\
        %2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let profile = profile("slack");
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    let headers = headers(&profile, secret, "evt_1", 1_531_420_618, body);
    assert_eq!(
        header(&headers, "X-Slack-Signature"),
        Some("v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503")
    );
    assert_eq!(
        header(&headers, "X-Slack-Request-Timestamp"),
        Some("1531420618")
    );
}

/// RFC 4231, section 4.3 (test case 2), for both HMAC algorithms.
#[test]
fn rfc_4231_test_case_2() {
    for (algorithm, expected) in [
        (
            "hmac-sha256",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            "hmac-sha512",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        let json = format!(
            r#"{{"body":"{{data}}","signature":{{"header":"X-Mac","algorithm":"{algorithm}"}}}}"#
        );
        let profile = Profile::parse(&json).unwrap();
        let headers = headers(
            &profile,
            "Jefe",
            "evt_1",
            1,
            b"what do ya want for nothing?",
        );
        assert_eq!(header(&headers, "x-mac"), Some(expected));
    }
}
