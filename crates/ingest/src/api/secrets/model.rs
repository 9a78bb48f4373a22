//! Secrets as they look outside; generating and checking them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signpost_domain::{Problem, parse_duration, secret::check_secret};
use signpost_store::LiveSecret;
use signpost_wire::{Profile, Scope, Signature};
use utoipa::ToSchema;

use crate::http::Fields;

/// How long both secrets sign after a rotation, unless said.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// Longest overlap.
const MAX_OVERLAP: Duration = Duration::from_secs(7 * 24 * 3600);

/// A signing secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret)]
pub struct SecretBody {
    /// The secret.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
    /// Those before it that sign as well, for a while.
    pub previous: Vec<PreviousSecret>,
    /// The public half of an Ed25519 key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "whpk_…")]
    pub public_key: Option<String>,
    /// Where receivers find the public key as a JSON Web Key Set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        required = false,
        example = "/v1/tenants/acme/endpoints/ep_01jd8p4z3mfjrtvxq5s2w9hk6e/jwks"
    )]
    pub jwks_url: Option<String>,
}

/// A secret that still signs beside the newest one.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviousSecret {
    /// When it stops signing.
    pub expires_at: DateTime<Utc>,
}

/// How a secret is to be replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `read_rotation` reads")]
#[schema(example = json!({"overlap": "24h"}))]
pub struct Rotation {
    /// The new secret; by default a strong one is made.
    #[schema(pattern = "^[!-~]{1,512}$")]
    secret: Option<String>,
    /// Takes a `secret` of fewer than 16 characters. Do not.
    force: Option<bool>,
    /// How long the old one signs as well, at most `7d`; by default `24h`.
    #[schema(example = "24h", pattern = "^[0-9]{1,9}(ms|s|m|h|d)$")]
    overlap: Option<String>,
}

/// A JSON Web Key Set (RFC 7517, RFC 8037).
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwks {
    /// The public keys that sign now, the newest first.
    pub keys: Vec<Jwk>,
}

/// An Ed25519 public key (RFC 8037, section 2).
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwk {
    /// `OKP`.
    #[schema(example = "OKP")]
    pub kty: &'static str,
    /// `Ed25519`.
    #[schema(example = "Ed25519")]
    pub crv: &'static str,
    /// The key, base64url.
    #[schema(example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]
    pub x: String,
    /// `EdDSA`.
    #[schema(example = "EdDSA")]
    pub alg: &'static str,
    /// `sig`.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    pub usage: &'static str,
    /// The key's thumbprint (RFC 7638).
    #[schema(example = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
    pub kid: String,
}

/// What a rotation asks for.
#[derive(Debug)]
pub struct RotationRequest {
    /// The new secret.
    pub secret: SecretString,
    /// How long the old one signs as well.
    pub overlap: Duration,
}

/// Reads a rotation; a secret that is not given is generated for the profile.
pub fn read_rotation(fields: &mut Fields, profile: Option<&Profile>) -> RotationRequest {
    let secret = read_secret(fields, profile);
    let overlap = fields.parsed("overlap", |text| match parse_duration(text) {
        Ok(overlap) if overlap <= MAX_OVERLAP => Ok(overlap),
        Ok(_) => Err("an overlap is at most 7d".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    RotationRequest {
        secret: secret.unwrap_or_else(|| generate(profile)),
        overlap: overlap.unwrap_or(DEFAULT_OVERLAP),
    }
}

/// Reads the fields `secret` and `force`, and checks that the profile can sign with the secret.
pub fn read_secret(fields: &mut Fields, profile: Option<&Profile>) -> Option<SecretString> {
    let is_forced = fields.flag("force").unwrap_or(false);
    let secret = SecretString::from(fields.text("secret")?);
    fields.check(check_secret(secret.expose_secret(), is_forced))?;
    if let Some(profile) = profile.filter(|profile| profile.signature().is_some()) {
        let key = profile.signing_key(secret.expose_secret());
        fields.check(key.map_err(|error| Problem::new("/secret", error.to_string())))?;
    }
    Some(secret)
}

/// A strong secret for the profile: `whsec_…`, or `whsk_…` for Ed25519.
pub fn generate(profile: Option<&Profile>) -> SecretString {
    let random: [u8; 32] = rand::random();
    match profile.or(signpost_wire::find_builtin(signpost_wire::DEFAULT_PROFILE).as_ref()) {
        Some(profile) => SecretString::from(profile.generate_secret(&random).as_str()),
        None => SecretString::from(hex::encode(random)),
    }
}

/// Whose secret a profile signs with; none when it signs nothing.
pub fn scope_of(profile: &Profile) -> Option<Scope> {
    profile.signature().map(Signature::scope)
}

/// The public key of a secret, if it has one.
pub fn public_key(profile: &Profile, secret: &SecretString) -> Option<String> {
    profile
        .signing_key(secret.expose_secret())
        .ok()?
        .public_key()
}

/// The secrets that sign now, newest first, as the API shows them; `None` when there is none.
pub fn secret_body(
    live: &[LiveSecret],
    profile: Option<&Profile>,
    jwks_url: String,
) -> Option<SecretBody> {
    let (newest, earlier) = live.split_first()?;
    let public_key = profile.and_then(|profile| public_key(profile, &newest.secret));
    Some(SecretBody {
        secret: newest.secret.expose_secret().to_owned(),
        previous: earlier
            .iter()
            .filter_map(|secret| secret.expires_at)
            .map(|expires_at| PreviousSecret { expires_at })
            .collect(),
        jwks_url: public_key.is_some().then_some(jwks_url),
        public_key,
    })
}

/// The key set of the secrets that sign now. Empty for shared secrets: those are never public.
pub fn jwks(live: &[LiveSecret], profile: &Profile) -> Jwks {
    let keys = live.iter().filter_map(|secret| {
        let public = public_key(profile, &secret.secret)?;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(public.strip_prefix("whpk_")?)
            .ok()?;
        let x = URL_SAFE_NO_PAD.encode(bytes);
        // RFC 7638, section 3, with the members of RFC 8037, section 2, in their order.
        let thumbprint = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Some(Jwk {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            usage: "sig",
            kid: URL_SAFE_NO_PAD.encode(Sha256::digest(thumbprint)),
            x,
        })
    });
    Jwks {
        keys: keys.collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ed25519_key_set_has_the_published_thumbprint() {
        // RFC 8037, appendix A.1 to A.3.
        let seed = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap();
        let secret = format!(
            "whsk_{}",
            base64::engine::general_purpose::STANDARD.encode(seed)
        );
        let profile = Profile::from_document(json!({
            "body": "{data}", "timestamp": "unix",
            "headers": {"webhook-id": "{id}", "webhook-timestamp": "{attempt_timestamp}"},
            "signature": {"header": "webhook-signature", "algorithm": "ed25519",
                "content": "{id}.{timestamp}.{body}", "encoding": "base64",
                "value": "v1a,{signature}", "separator": " ", "key": "base64-after-prefix"},
            "success": ["200-299"], "retry": {"delays": ["10s"]}, "timeout": "10s",
        }))
        .unwrap();
        let live = [LiveSecret {
            version: 1,
            secret: secret.into(),
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
        }];
        let set = jwks(&live, &profile);
        assert_eq!(set.keys[0].x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(
            set.keys[0].kid,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn shared_secrets_are_in_no_key_set() {
        let profile = signpost_wire::find_builtin("privato").unwrap();
        let live = [LiveSecret {
            version: 1,
            secret: generate(Some(&profile)),
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
        }];
        assert!(jwks(&live, &profile).keys.is_empty());
    }
}
