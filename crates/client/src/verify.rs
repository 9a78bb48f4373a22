//! Verifying a received webhook in one call.

use signpost_domain::{Clock as _, SystemClock};
use signpost_wire::{DEFAULT_TOLERANCE, Profile, SecretError, Verified};

/// Why a webhook is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The secret is none for this profile: a mistake in the receiver's settings.
    #[error("the secret does not fit the profile")]
    Secret(#[from] SecretError),
    /// Not signed with this secret, changed on its way, or too old.
    #[error(transparent)]
    Request(#[from] signpost_wire::VerifyError),
}

/// Checks that a webhook was signed with `secret`, and within the last five minutes where the
/// profile signs a time. `body` must be the bytes as received, before any parser.
///
/// `headers` is anything that gives pairs, such as `&http::HeaderMap`. To accept several secrets
/// or another age, use [`Profile::verify`].
///
/// ```
/// # fn handle(request: http::Request<Vec<u8>>) -> Result<(), signpost_client::VerifyError> {
/// let profile = signpost_client::find_builtin("standard-webhooks").expect("it is built in");
/// let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// let webhook = signpost_client::verify(&profile, request.headers(), request.body(), secret)?;
/// // The same on each retry: remember it to act once.
/// println!("{:?}", webhook.event_id);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Answer 401 to [`VerifyError::Request`], and see to the settings for [`VerifyError::Secret`].
pub fn verify<N: AsRef<str>, V: AsRef<[u8]>>(
    profile: &Profile,
    headers: impl IntoIterator<Item = (N, V)>,
    body: &[u8],
    secret: &str,
) -> Result<Verified, VerifyError> {
    let key = profile.verifying_key(secret)?;
    let headers: Vec<(String, String)> = headers
        .into_iter()
        .map(|(name, value)| {
            // Values that are no text come out changed, and so match no signature.
            let value = String::from_utf8_lossy(value.as_ref()).into_owned();
            (name.as_ref().to_owned(), value)
        })
        .collect();
    let now = SystemClock.now();
    Ok(profile.verify(&headers, body, &[key], now, Some(DEFAULT_TOLERANCE))?)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use signpost_wire::{AttemptParts, EventParts, builtin, find_builtin};

    use super::*;

    const UTF8: &str = "a-shared-secret-0123456789";
    const BASE64: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn webhook(profile: &Profile, secret: &str, age: TimeDelta) -> (HeaderMap, Vec<u8>) {
        let at = SystemClock.now() - age;
        let event = EventParts {
            id: "evt_1",
            event_type: "post.created",
            tenant: "acme",
            occurred_at: at,
        };
        let attempt = AttemptParts {
            delivery_id: "dlv_1",
            number: 1,
            at,
        };
        let key = profile.signing_key(secret).unwrap();
        let body = profile.render_body(&event, br#"{"id":1}"#);
        let headers = profile.render_headers(&event, &attempt, &body, &[key]);
        let headers = headers.unwrap().into_iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(&value).unwrap())
        });
        (headers.collect(), body.to_vec())
    }

    #[test]
    fn takes_each_profiles_webhooks_and_refuses_changed_ones() {
        for builtin in builtin() {
            let profile = &builtin.profile;
            let secret = if profile.verifying_key(UTF8).is_ok() {
                UTF8
            } else {
                BASE64
            };
            let (headers, mut body) = webhook(profile, secret, TimeDelta::zero());
            verify(profile, &headers, &body, secret).unwrap();
            let pairs = headers.iter().map(|(name, value)| (name.as_str(), value));
            verify(profile, pairs, &body, secret).unwrap();
            body.push(b' ');
            let changed = verify(profile, &headers, &body, secret);
            assert!(
                matches!(changed, Err(VerifyError::Request(_))),
                "{}",
                builtin.name
            );
        }
    }

    #[test]
    fn old_webhooks_and_unfit_secrets_are_refused() {
        let profile = find_builtin("standard-webhooks").unwrap();
        let (headers, body) = webhook(&profile, BASE64, TimeDelta::minutes(6));
        let old = verify(&profile, &headers, &body, BASE64).unwrap_err();
        let too_old = matches!(
            old,
            VerifyError::Request(signpost_wire::VerifyError::TooOld { .. })
        );
        assert!(too_old, "{old}");
        let unfit = verify(&profile, &headers, &body, "whpk_AAAA");
        assert!(matches!(unfit, Err(VerifyError::Secret(_))));
        let (fresh, body) = webhook(&profile, BASE64, TimeDelta::minutes(4));
        let verified = verify(&profile, &fresh, &body, BASE64).unwrap();
        assert_eq!(verified.event_id.as_deref(), Some("evt_1"));
        let no_headers: [(&str, &str); 0] = [];
        assert!(verify(&profile, no_headers, &body, BASE64).is_err());
    }
}
