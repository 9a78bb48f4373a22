//! A receiver's side of a webhook: is it signed by whom we think, and what is it about?
//!
//! Shared by `listen`, `verify` and `demo`. What a request is about is read with the profile's own
//! templates, so that a profile of the user's own works as the built-in ones do.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use serde_json::Value;
use signpost_wire::{Profile, Verified, VerifyError, VerifyingKey, find_builtin};

use crate::commands::profiles::read_profile;
use crate::error::{CliError, Result, usage};

/// A profile with the keys that may have signed.
#[derive(Debug, Clone)]
pub struct Checker {
    name: String,
    profile: Profile,
    keys: Vec<VerifyingKey>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// One of the keys signed it.
    Verified(Verified),
    /// It bears no signature, there is no secret, and the profile allows that.
    Unsigned,
    /// There is no secret to check it with.
    NotChecked,
    /// It is not what it claims to be.
    Refused(VerifyError),
}

impl Verdict {
    /// Whether a receiver should take it.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Verified(_) | Self::Unsigned)
    }

    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Verified(_) => "verified",
            Self::Unsigned => "unsigned",
            Self::NotChecked => "not checked",
            Self::Refused(_) => "NOT VERIFIED",
        }
    }
}

/// What a request is about, as far as it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The event type.
    pub event_type: Option<String>,
    /// The event's id.
    pub id: Option<String>,
    /// The number of the attempt, where the profile sends it.
    pub attempt: Option<String>,
}

impl Checker {
    /// A checker for the profile called `profile` (a built-in one, or `@FILE`).
    ///
    /// # Errors
    /// No such profile, or a secret that is none for it.
    pub fn new(profile: &str, secrets: &[String]) -> Result<Self> {
        let (name, profile) = find_profile(profile)?;
        let keys = secrets
            .iter()
            .map(|secret| {
                profile.verifying_key(secret).map_err(|error| {
                    CliError::Usage(format!("the secret does not fit profile {name}: {error}"))
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            name,
            profile,
            keys,
        })
    }

    /// The profile's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Checks a request as it came.
    pub fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
        tolerance: Option<Duration>,
    ) -> Verdict {
        let Some(signature) = self.profile.signature() else {
            return Verdict::Unsigned;
        };
        if self.keys.is_empty() {
            let is_signed = headers.contains_key(signature.header());
            return if !is_signed && !signature.is_required() {
                Verdict::Unsigned
            } else {
                Verdict::NotChecked
            };
        }
        match self
            .profile
            .verify(&pairs(headers), body, &self.keys, now, tolerance)
        {
            Ok(verified) => Verdict::Verified(verified),
            Err(error) => Verdict::Refused(error),
        }
    }

    /// What the request is about, by the profile's templates; where they do not say, by the
    /// fields that such requests usually have.
    pub fn facts(&self, headers: &HeaderMap, body: &[u8]) -> Facts {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let document = self.profile.document();
        let find = |placeholder: &str| {
            in_headers(document.get("headers"), placeholder, headers).or_else(|| {
                let pointer = find_pointer(document.get("body")?, placeholder, String::new())?;
                text_at(&body, &pointer)
            })
        };
        let usual = |pointers: &[&str]| pointers.iter().find_map(|pointer| text_at(&body, pointer));
        Facts {
            event_type: find("{type}")
                .or_else(|| find("{type_path}").map(|path| path.replace('/', ".")))
                .or_else(|| usual(&["/type", "/event", "/event_type", "/data/type"])),
            id: find("{id}"),
            attempt: find("{attempt}"),
        }
    }
}

/// Headers as pairs; a value that is not ASCII is shown as far as it goes.
pub fn pairs(headers: &HeaderMap) -> Vec<(&str, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}

/// A built-in profile, or one from `@FILE`.
fn find_profile(text: &str) -> Result<(String, Profile)> {
    if let Some(path) = text.strip_prefix('@') {
        let path = Path::new(path);
        let name = path
            .file_stem()
            .map_or_else(|| text.to_owned(), |s| s.to_string_lossy().into_owned());
        return Ok((name, read_profile(path)?));
    }
    let Some(profile) = find_builtin(text) else {
        let names: Vec<_> = signpost_wire::builtin().iter().map(|b| b.name).collect();
        return usage(format!(
            "there is no built-in profile {text:?}; there are {}; one of your own is given as @FILE",
            names.join(", ")
        ));
    };
    Ok((text.to_owned(), profile))
}

fn in_headers(templates: Option<&Value>, placeholder: &str, headers: &HeaderMap) -> Option<String> {
    let (name, _) = templates?
        .as_object()?
        .iter()
        .find(|(_, value)| *value == placeholder)?;
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Where in a body template a placeholder stands.
fn find_pointer(template: &Value, placeholder: &str, at: String) -> Option<String> {
    match template {
        Value::String(text) if text == placeholder => Some(at),
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, value)| find_pointer(value, placeholder, format!("{at}/{name}"))),
        _ => None,
    }
}

fn text_at(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(
        profile: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> (Option<String>, Option<String>) {
        let checker = Checker::new(profile, &[]).unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let facts = checker.facts(&headers.collect(), body.as_bytes());
        (facts.event_type, facts.id)
    }

    fn some(event_type: &str, id: Option<&str>) -> (Option<String>, Option<String>) {
        (Some(event_type.to_owned()), id.map(str::to_owned))
    }

    #[test]
    fn each_profile_says_what_a_request_is_about() {
        let body = r#"{"id":"evt_1","type":"post.updated","data":{}}"#;
        assert_eq!(
            facts("core-api", &[], body),
            some("post.updated", Some("evt_1"))
        );
        let body = r#"{"event_type":"license.expiring","payload":{}}"#;
        assert_eq!(
            facts("license-manager", &[], body),
            some("license.expiring", None)
        );
        let body = r#"{"data":{"type":"secret_opened_successful"}}"#;
        assert_eq!(
            facts("inprivy", &[], body),
            some("secret_opened_successful", None)
        );
        let headers = [
            ("x-shopify-topic", "orders/create"),
            ("x-shopify-event-id", "evt_2"),
        ];
        assert_eq!(
            facts("shopify", &headers, "{}"),
            some("orders.create", Some("evt_2"))
        );
        assert_eq!(facts("privato", &[], "not json"), (None, None));
    }

    #[test]
    fn unknown_profiles_are_named_with_the_known_ones() {
        let error = Checker::new("nope", &[]).unwrap_err().to_string();
        assert!(error.contains("license-manager"), "{error}");
    }

    #[test]
    fn a_bad_secret_is_refused_without_being_shown() {
        let error = Checker::new("standard-webhooks", &["whsec_!hush".to_owned()]).unwrap_err();
        assert!(!error.to_string().contains("hush"), "{error}");
    }

    #[test]
    fn without_a_secret_nothing_passes_as_verified() {
        let checker = Checker::new("privato", &[]).unwrap();
        let verdict = checker.check(&HeaderMap::new(), b"{}", DateTime::UNIX_EPOCH, None);
        assert_eq!(verdict, Verdict::NotChecked);
        assert!(!verdict.is_good());
        let checker = Checker::new("license-manager", &[]).unwrap();
        let verdict = checker.check(&HeaderMap::new(), b"{}", DateTime::UNIX_EPOCH, None);
        assert_eq!(verdict, Verdict::Unsigned);
    }
}
