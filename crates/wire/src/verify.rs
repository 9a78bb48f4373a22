//! Checks a received request against a profile: what a receiver does, `signpost listen` and
//! `signpost verify` too.
//!
//! Never accepts a request without a signature, and compares nothing but whole signatures.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    Algorithm, Profile, Signature, VerifyingKey,
    signature::{Carrier, Piece},
    template::Field,
};

/// How far the signed time may be from the receiver's clock, before or after, when the receiver
/// has no wish of its own: five minutes.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// Most signatures that are looked at in one header.
const MAX_SIGNATURES: usize = 32;

/// What a valid request proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which of the keys signed, by its position.
    pub key: usize,
    /// The event's id, where the scheme signs it.
    pub event_id: Option<String>,
    /// When the attempt was made, where the scheme signs it. Without it nothing keeps an old
    /// request from being sent again.
    pub signed_at: Option<DateTime<Utc>>,
}

/// Why a request is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The profile has no signature to check.
    #[error("the profile signs nothing, so nothing can be verified")]
    ProfileSignsNothing,
    /// No key was given, or one for another algorithm.
    #[error("a key for {} is needed", .0.as_str())]
    NoKey(Algorithm),
    /// A header that the check needs is not there.
    #[error("header `{header}` is missing; it must be: {expected}")]
    HeaderMissing {
        /// The header's name.
        header: String,
        /// What it looks like.
        expected: String,
    },
    /// A header that the check needs is there more than once.
    #[error("header `{header}` is there more than once")]
    HeaderRepeated {
        /// The header's name.
        header: String,
    },
    /// The signature header holds nothing of the right form.
    #[error("header `{header}` holds no signature of the form: {expected}")]
    SignatureMalformed {
        /// The header's name.
        header: String,
        /// What it looks like.
        expected: String,
    },
    /// The signed time is not unix seconds.
    #[error("the time in header `{header}` is not unix seconds")]
    TimestampMalformed {
        /// The header's name.
        header: String,
    },
    /// No signature is by any of the keys.
    #[error(
        "no signature matches: expected {} over `{content}`, where the body has {body_bytes} bytes \
         exactly as received; found {signatures}, tried with {keys}",
        .algorithm.as_str(),
        signatures = count(*.signatures, "signature"),
        keys = count(*.keys, "key"),
    )]
    Mismatch {
        /// The profile's algorithm.
        algorithm: Algorithm,
        /// The template of what is signed.
        content: String,
        /// Length of the body.
        body_bytes: usize,
        /// How many signatures of the right form the header held.
        signatures: usize,
        /// How many keys were tried.
        keys: usize,
    },
    /// The signature is right, the request is too old.
    #[error("signed at {signed_at}, which is {} s ago; at most {} s are allowed", .age.as_secs(), .tolerance.as_secs())]
    TooOld {
        /// When it was signed.
        signed_at: DateTime<Utc>,
        /// How long ago.
        age: Duration,
        /// What is allowed.
        tolerance: Duration,
    },
    /// The signature is right, its time lies in the future.
    #[error("signed at {signed_at}, which is {} s ahead of this clock; at most {} s are allowed", .ahead.as_secs(), .tolerance.as_secs())]
    TooNew {
        /// When it was signed.
        signed_at: DateTime<Utc>,
        /// How far ahead.
        ahead: Duration,
        /// What is allowed.
        tolerance: Duration,
    },
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl Profile {
    /// Checks that one of `keys` signed this request, and that it is not too old.
    ///
    /// `headers` are those received (names without regard to case), `body` the exact bytes.
    /// `tolerance` is how far the signed time may be from `now` in either direction; `None` takes
    /// any time. A scheme that signs no time has none to check.
    ///
    /// # Errors
    /// Why the request is refused, with the form that was expected.
    pub fn verify<N: AsRef<str>, V: AsRef<str>>(
        &self,
        headers: &[(N, V)],
        body: &[u8],
        keys: &[VerifyingKey],
        now: DateTime<Utc>,
        tolerance: Option<Duration>,
    ) -> Result<Verified, VerifyError> {
        let signature = self.signature().ok_or(VerifyError::ProfileSignsNothing)?;
        let algorithm = signature.algorithm();
        if keys.is_empty() || keys.iter().any(|key| key.algorithm() != algorithm) {
            return Err(VerifyError::NoKey(algorithm));
        }
        let received = Received::read(signature, headers)?;
        let parts = signature.content_parts(body, |field| received.field(field));
        let matching = keys
            .iter()
            .position(|key| key.find_match(&parts, &received.signatures).is_some());
        let Some(key) = matching else {
            return Err(VerifyError::Mismatch {
                algorithm,
                content: signature.content().to_owned(),
                body_bytes: body.len(),
                signatures: received.signatures.len(),
                keys: keys.len(),
            });
        };
        if let (Some(signed_at), Some(tolerance)) = (received.signed_at, tolerance) {
            check_age(signed_at, now, tolerance)?;
        }
        let event_id = received
            .fields
            .iter()
            .find(|(field, _)| *field == Field::Id)
            .map(|(_, id)| *id);
        Ok(Verified {
            key,
            event_id: event_id.map(str::to_owned),
            signed_at: received.signed_at,
        })
    }

    /// The exact bytes that the sender of this request must have signed, to show to people. It
    /// proves nothing.
    ///
    /// # Errors
    /// When a header that is part of the content is missing or malformed.
    pub fn signed_content<N: AsRef<str>, V: AsRef<str>>(
        &self,
        headers: &[(N, V)],
        body: &[u8],
    ) -> Result<Vec<u8>, VerifyError> {
        let signature = self.signature().ok_or(VerifyError::ProfileSignsNothing)?;
        let received = Received::read(signature, headers)?;
        Ok(signature
            .content_parts(body, |field| received.field(field))
            .concat())
    }
}

/// What was found in the headers.
struct Received<'h> {
    /// Each signature of the right form and length, decoded.
    signatures: Vec<Vec<u8>>,
    /// The signed fields but the body, as received.
    fields: Vec<(Field, &'h str)>,
    signed_at: Option<DateTime<Utc>>,
}

impl<'h> Received<'h> {
    fn read<N: AsRef<str>, V: AsRef<str>>(
        signature: &Signature,
        headers: &'h [(N, V)],
    ) -> Result<Self, VerifyError> {
        let value = find_header(headers, &signature.header, || signature.expected_form())?;
        let malformed = || VerifyError::SignatureMalformed {
            header: signature.header.clone(),
            expected: signature.expected_form(),
        };
        let signatures: Vec<_> = pick(signature, value, Field::Signature)
            .take(MAX_SIGNATURES)
            .filter_map(|text| signature.encoding.decode(text))
            .filter(|bytes| bytes.len() == signature.algorithm.signature_bytes())
            .collect();
        if signatures.is_empty() {
            return Err(malformed());
        }
        let mut fields = Vec::with_capacity(signature.carriers.len());
        let mut signed_at = None;
        for (field, carrier) in &signature.carriers {
            let (header, text) = match carrier {
                Carrier::Header(name) => {
                    let expected = || format!("`{{{}}}`", field.name());
                    (name, find_header(headers, name, expected)?)
                }
                Carrier::Value => {
                    let mut times = pick(signature, value, Field::Timestamp);
                    let text = times.next().ok_or_else(malformed)?;
                    // A second time would leave open which one was signed.
                    if times.next().is_some() {
                        return Err(malformed());
                    }
                    (&signature.header, text)
                }
            };
            if *field == Field::Timestamp {
                let time =
                    read_unix_seconds(text).ok_or_else(|| VerifyError::TimestampMalformed {
                        header: header.clone(),
                    })?;
                signed_at = Some(time);
            }
            fields.push((*field, text));
        }
        Ok(Self {
            signatures,
            fields,
            signed_at,
        })
    }

    fn field(&self, wanted: Field) -> &'h str {
        // Each field of the content has a carrier: the profile reader saw to that.
        self.fields
            .iter()
            .find(|(field, _)| *field == wanted)
            .map_or("", |(_, text)| text)
    }
}

/// The header of that name, which must be there once.
fn find_header<'h, N: AsRef<str>, V: AsRef<str>>(
    headers: &'h [(N, V)],
    name: &str,
    expected: impl Fn() -> String,
) -> Result<&'h str, VerifyError> {
    let mut found = headers
        .iter()
        .filter(|(other, _)| other.as_ref().eq_ignore_ascii_case(name));
    let Some((_, value)) = found.next() else {
        return Err(VerifyError::HeaderMissing {
            header: name.to_owned(),
            expected: expected(),
        });
    };
    if found.next().is_some() {
        return Err(VerifyError::HeaderRepeated {
            header: name.to_owned(),
        });
    }
    Ok(value.as_ref())
}

/// The values of a field in the signature header. Items of other forms are passed over: they may
/// be signatures of another scheme.
fn pick<'h>(signature: &Signature, value: &'h str, wanted: Field) -> impl Iterator<Item = &'h str> {
    let pieces = signature
        .pieces
        .iter()
        .filter(move |piece| piece.field == Some(wanted));
    let items: Vec<_> = match &signature.separator {
        Some(separator) => value.split(separator.as_str()).collect(),
        None => vec![value],
    };
    pieces.flat_map(move |Piece { before, after, .. }| {
        items
            .iter()
            .filter_map(|item| {
                item.strip_prefix(before.as_str())?
                    .strip_suffix(after.as_str())
            })
            .collect::<Vec<_>>()
    })
}

fn read_unix_seconds(text: &str) -> Option<DateTime<Utc>> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    DateTime::from_timestamp(text.parse().ok()?, 0)
}

fn check_age(
    signed_at: DateTime<Utc>,
    now: DateTime<Utc>,
    tolerance: Duration,
) -> Result<(), VerifyError> {
    // Only one of the two directions is a duration; the other is an error and passes.
    if let Ok(age) = (now - signed_at).to_std()
        && age > tolerance
    {
        return Err(VerifyError::TooOld {
            signed_at,
            age,
            tolerance,
        });
    }
    if let Ok(ahead) = (signed_at - now).to_std()
        && ahead > tolerance
    {
        return Err(VerifyError::TooNew {
            signed_at,
            ahead,
            tolerance,
        });
    }
    Ok(())
}
