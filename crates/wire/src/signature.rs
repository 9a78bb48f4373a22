//! A profile's signature scheme: what is signed, with which algorithm, and how the header looks.
//!
//! Built by the profile reader, used when headers are rendered and when they are verified.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::template::{
    Field,
    text::{Segment, TextTemplate},
};

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC with SHA-256 (RFC 2104): the scheme `v1` of Standard Webhooks.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519 (RFC 8032): the scheme `v1a` of Standard Webhooks. The receiver holds only the
    /// public key.
    Ed25519,
}

impl Algorithm {
    /// The name in a profile.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha512 => "hmac-sha512",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Bytes of one signature.
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::HmacSha256 => 32,
            Self::HmacSha512 | Self::Ed25519 => 64,
        }
    }
}

/// How the bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Lower-case hexadecimal.
    Hex,
    /// Base64 with the standard alphabet and padding (RFC 4648, section 4).
    Base64,
}

impl Encoding {
    /// The name in a profile.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }

    /// Writes the bytes.
    pub(crate) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }

    /// Reads what `encode` wrote: nothing but its exact form is taken.
    pub(crate) fn decode(self, text: &str) -> Option<Vec<u8>> {
        let bytes = match self {
            Self::Hex => hex::decode(text).ok()?,
            Self::Base64 => STANDARD.decode(text).ok()?,
        };
        (self.encode(&bytes) == text).then_some(bytes)
    }

    /// Characters that so many bytes take.
    pub(crate) const fn encoded_len(self, bytes: usize) -> usize {
        match self {
            Self::Hex => bytes * 2,
            Self::Base64 => bytes.div_ceil(3) * 4,
        }
    }
}

/// How the text of a secret becomes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// The bytes of the text, prefix and all. Stripe signs so, although its secrets begin with
    /// `whsec_` too.
    Utf8,
    /// What follows `whsec_` (or `whsk_`, `whpk_` for Ed25519) is base64 of the key: the form of
    /// Standard Webhooks.
    Base64AfterPrefix,
}

/// Whose secret signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The endpoint's own secret.
    Endpoint,
    /// The one secret of the tenant.
    Tenant,
}

/// A repeated or single part of the signature header: text around at most one placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) before: String,
    pub(crate) field: Option<Field>,
    pub(crate) after: String,
}

/// From where a receiver takes a field of the signed content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A header that holds exactly this field.
    Header(String),
    /// The signature header itself, as Stripe's `t=`.
    Value,
}

/// A profile's `signature` part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub(crate) header: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) encoding: Encoding,
    pub(crate) key_form: KeyForm,
    pub(crate) scope: Scope,
    pub(crate) required: bool,
    pub(crate) separator: Option<String>,
    pub(crate) content_text: String,
    pub(crate) content: TextTemplate,
    pub(crate) pieces: Vec<Piece>,
    /// The fields of the content except the body, each with its carrier.
    pub(crate) carriers: Vec<(Field, Carrier)>,
}

impl Signature {
    /// The name of the signature header, as the profile writes it.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How signatures are written.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How the text of a secret becomes a key.
    pub const fn key_form(&self) -> KeyForm {
        self.key_form
    }

    /// Whose secret signs.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether a request without a secret must not be sent. When `false`, such a request goes out
    /// without the signature header.
    pub const fn is_required(&self) -> bool {
        self.required
    }

    /// Whether the header has room for the signatures of several keys, so that a rotation can
    /// overlap. Without room only the first key signs.
    pub const fn signs_with_all_keys(&self) -> bool {
        self.separator.is_some()
    }

    /// The template of what is signed, as in `{id}.{timestamp}.{body}`; `{timestamp}` is the time
    /// of the attempt in unix seconds.
    pub fn content(&self) -> &str {
        &self.content_text
    }

    /// What the header looks like, for people: `t=<unix seconds>,v1=<64 characters of hex>`.
    pub fn expected_form(&self) -> String {
        let length = self.encoding.encoded_len(self.algorithm.signature_bytes());
        let pieces: Vec<_> = self
            .pieces
            .iter()
            .map(
                |Piece {
                     before,
                     field,
                     after,
                 }| match field {
                    Some(Field::Timestamp) => format!("{before}<unix seconds>{after}"),
                    Some(_) => {
                        format!(
                            "{before}<{length} characters of {}>{after}",
                            self.encoding.as_str()
                        )
                    }
                    None => before.clone(),
                },
            )
            .collect();
        pieces.join(self.separator.as_deref().unwrap_or_default())
    }

    /// The parts of the signed content in order, to be signed as if they stood in one text.
    /// `value` gives each field but the body.
    pub(crate) fn content_parts<'p>(
        &'p self,
        body: &'p [u8],
        value: impl Fn(Field) -> &'p str,
    ) -> Vec<&'p [u8]> {
        let part = |segment: &'p Segment| match segment {
            Segment::Literal(literal) => literal.as_bytes(),
            Segment::Field(Field::Body) => body,
            Segment::Field(field) => value(*field).as_bytes(),
        };
        self.content.segments().iter().map(part).collect()
    }

    /// Writes the header: pieces with a signature once per signature, the others once.
    pub(crate) fn header_value(&self, signatures: &[String], timestamp: &str) -> String {
        let mut parts = Vec::new();
        for Piece {
            before,
            field,
            after,
        } in &self.pieces
        {
            match field {
                Some(Field::Signature) => {
                    parts.extend(
                        signatures
                            .iter()
                            .map(|text| format!("{before}{text}{after}")),
                    );
                }
                Some(_) => parts.push(format!("{before}{timestamp}{after}")),
                None => parts.push(before.clone()),
            }
        }
        parts.join(self.separator.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_takes_only_what_encoding_writes() {
        assert_eq!(Encoding::Hex.decode("00ff"), Some(vec![0, 255]));
        for bad in ["00FF", "0", "0g", " 00"] {
            assert_eq!(Encoding::Hex.decode(bad), None, "{bad}");
        }
        assert_eq!(Encoding::Base64.decode("AP8="), Some(vec![0, 255]));
        for bad in ["AP8", "AP9=", "AP8= ", "AP_=", "="] {
            assert_eq!(Encoding::Base64.decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn lengths_are_those_of_the_encoding() {
        for bytes in [0, 1, 2, 3, 32, 64] {
            for encoding in [Encoding::Hex, Encoding::Base64] {
                assert_eq!(
                    encoding.encode(&vec![7; bytes]).len(),
                    encoding.encoded_len(bytes)
                );
            }
        }
    }
}
