//! Renders a request: the body once, at fan-out, and the headers for each attempt.
//!
//! Called by the dispatcher and by test sends. The URL, `Host`, `Content-Length` and the
//! endpoint's own headers are the sender's business.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{Algorithm, Profile, Signature, SigningKey, header::is_value, template::Field};

/// The `User-Agent` of a profile that sets none.
pub const USER_AGENT: &str = concat!("Signpost/", env!("CARGO_PKG_VERSION"));

/// What a template may say about an event. All of it stays the same on every attempt.
#[derive(Debug, Clone, Copy)]
pub struct EventParts<'e> {
    /// The event's id, `[A-Za-z0-9_-]{1,128}`. Receivers recognise repeats by it.
    pub id: &'e str,
    /// The event type, `license.created`.
    pub event_type: &'e str,
    /// The tenant's id.
    pub tenant: &'e str,
    /// When the event occurred. What is below a microsecond is not used, so that the ledger can
    /// render the same bytes again.
    pub occurred_at: DateTime<Utc>,
}

/// What a header may say about an attempt.
#[derive(Debug, Clone, Copy)]
pub struct AttemptParts<'a> {
    /// The delivery's id; the same on every attempt.
    pub delivery_id: &'a str,
    /// The attempt's number, from 1.
    pub number: u32,
    /// When this attempt is made, by the wall clock. It is what signatures are made over.
    pub at: DateTime<Utc>,
}

/// Why the headers of a request could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The profile wants a signature and no key was given.
    #[error("the profile must sign with {} secret, and there is none", scope_text(*.0))]
    SecretMissing(crate::Scope),
    /// A key was prepared for a profile with another algorithm.
    #[error("the key is for {}, the profile signs with {}", .key.as_str(), .profile.as_str())]
    WrongKey {
        /// The key's algorithm.
        key: Algorithm,
        /// The profile's algorithm.
        profile: Algorithm,
    },
    /// A header would hold characters that HTTP does not allow.
    #[error("the value of header `{0}` would not be printable ASCII")]
    IllegalValue(String),
    /// An id that is signed could be read in two ways.
    #[error("the signed field `{0}` must be letters, digits, `_` and `-` alone")]
    AmbiguousField(&'static str),
}

fn scope_text(scope: crate::Scope) -> &'static str {
    match scope {
        crate::Scope::Endpoint => "the endpoint's",
        crate::Scope::Tenant => "the tenant's",
    }
}

impl Profile {
    /// Renders the body. `data` must be a JSON text; it is copied byte for byte and not parsed.
    ///
    /// The body does not depend on the attempt: render it once and send the same bytes each time.
    pub fn render_body(&self, event: &EventParts<'_>, data: &[u8]) -> Bytes {
        self.parts()
            .body
            .render(event, data, self.parts().timestamp)
    }

    /// Renders the headers of one attempt in the order in which they are sent: `Content-Type`,
    /// `User-Agent` (unless the profile sets it), the profile's own, the signature.
    ///
    /// `keys` are those that are valid now, the current one first. Where the profile's header has
    /// room for several signatures all of them sign, else only the first. Without a key the
    /// signature header is left out if the profile's `required` is `false`.
    ///
    /// # Errors
    /// When a needed key is missing or of another algorithm, or when a value cannot be sent. All
    /// of these are faults of the sending side; no event that keeps the rules on ids leads to
    /// them.
    pub fn render_headers(
        &self,
        event: &EventParts<'_>,
        attempt: &AttemptParts<'_>,
        body: &[u8],
        keys: &[SigningKey],
    ) -> Result<Vec<(&str, String)>, BuildError> {
        let parts = self.parts();
        let context = Context {
            event,
            attempt,
            profile: self,
        };
        let mut headers = Vec::with_capacity(parts.headers.len() + 3);
        headers.push(("Content-Type", parts.content_type.clone()));
        if !parts.sets_user_agent {
            headers.push(("User-Agent", USER_AGENT.to_owned()));
        }
        for (name, template) in &parts.headers {
            let value = template.render(|field, out| context.write(field, out));
            if !is_value(&value) {
                return Err(BuildError::IllegalValue(name.clone()));
            }
            headers.push((name.as_str(), value));
        }
        if let Some(signature) = self.signature()
            && let Some(value) = context.sign(signature, body, keys)?
        {
            headers.push((signature.header.as_str(), value));
        }
        Ok(headers)
    }
}

/// Everything that a field can take its value from.
struct Context<'c> {
    event: &'c EventParts<'c>,
    attempt: &'c AttemptParts<'c>,
    profile: &'c Profile,
}

impl Context<'_> {
    /// Appends the value of a field of a header template.
    fn write(&self, field: Field, out: &mut String) {
        match field {
            Field::Type => out.push_str(self.event.event_type),
            Field::TypePath => out.push_str(&self.event.event_type.replace('.', "/")),
            Field::Id => out.push_str(self.event.id),
            Field::Tenant => out.push_str(self.event.tenant),
            Field::Timestamp => {
                out.push_str(&self.profile.parts().timestamp.text(self.event.occurred_at));
            }
            Field::Attempt => out.push_str(&self.attempt.number.to_string()),
            Field::AttemptTimestamp => out.push_str(&self.attempt.at.timestamp().to_string()),
            Field::DeliveryId => out.push_str(self.attempt.delivery_id),
            // `Place::Header` lets none of these into a template.
            Field::Data | Field::Body | Field::Signature => {}
        }
    }

    fn sign(
        &self,
        signature: &Signature,
        body: &[u8],
        keys: &[SigningKey],
    ) -> Result<Option<String>, BuildError> {
        let Some(first) = keys.first() else {
            return if signature.required {
                Err(BuildError::SecretMissing(signature.scope))
            } else {
                Ok(None)
            };
        };
        let keys = if signature.signs_with_all_keys() {
            keys
        } else {
            std::slice::from_ref(first)
        };
        for key in keys {
            let (key, profile) = (key.algorithm(), signature.algorithm);
            if key != profile {
                return Err(BuildError::WrongKey { key, profile });
            }
        }
        self.check_signed_fields(signature)?;
        let timestamp = self.attempt.at.timestamp().to_string();
        let number = self.attempt.number.to_string();
        let parts = signature.content_parts(body, |field| match field {
            Field::Type => self.event.event_type,
            Field::Id => self.event.id,
            Field::Tenant => self.event.tenant,
            Field::Timestamp => &timestamp,
            Field::Attempt => &number,
            Field::DeliveryId => self.attempt.delivery_id,
            // `content_parts` gives the body itself, and `Place::Content` knows no other.
            Field::TypePath
            | Field::Data
            | Field::Body
            | Field::Signature
            | Field::AttemptTimestamp => "",
        });
        let signatures: Vec<_> = keys
            .iter()
            .map(|key| signature.encoding.encode(&key.sign(&parts)))
            .collect();
        Ok(Some(signature.header_value(&signatures, &timestamp)))
    }

    /// An id that holds a `.` could move the border between id and time (Standard Webhooks,
    /// section "Signature scheme"), so nothing signed may hold one.
    fn check_signed_fields(&self, signature: &Signature) -> Result<(), BuildError> {
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        for field in signature.content.fields() {
            let is_plain = match field {
                Field::Id => plain(self.event.id),
                Field::Tenant => plain(self.event.tenant),
                Field::DeliveryId => plain(self.attempt.delivery_id),
                Field::Type => self.event.event_type.split('.').all(plain),
                Field::TypePath
                | Field::Timestamp
                | Field::Data
                | Field::Body
                | Field::Signature
                | Field::Attempt
                | Field::AttemptTimestamp => true,
            };
            if !is_plain {
                return Err(BuildError::AmbiguousField(field.name()));
            }
        }
        Ok(())
    }
}
