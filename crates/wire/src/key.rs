//! Keys, made from an endpoint's or a tenant's secret.
//!
//! The text of a secret never appears in an error, in `Debug` output or in a comparison; the
//! memory of a key is wiped when it is dropped.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::ed25519::signature::MultipartSigner as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Algorithm, KeyForm, Profile, Signature};

/// Prefix of a shared secret in the form of Standard Webhooks.
const SECRET_PREFIX: &str = "whsec_";
/// Prefix of a private Ed25519 key.
const PRIVATE_PREFIX: &str = "whsk_";
/// Prefix of a public Ed25519 key.
const PUBLIC_PREFIX: &str = "whpk_";

/// Longest text of a secret, in bytes.
const MAX_TEXT: usize = 512;
/// Lengths of a shared key in bytes (Standard Webhooks, section "Signature scheme").
const SHARED_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why the text of a secret is no key for a profile. Never contains the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The profile has no signature, so it takes no secret.
    #[error("the profile signs nothing and takes no secret")]
    ProfileSignsNothing,
    /// Empty, too long, or with characters that no secret holds.
    #[error(
        "a secret is 1 to {MAX_TEXT} characters without line breaks or spaces at its ends (a line \
         break at the end often comes from copying it out of a file)"
    )]
    Text,
    /// A key of another kind, told by its prefix.
    #[error("this is {found}; the profile needs {needed}")]
    WrongKind {
        /// What the prefix says.
        found: &'static str,
        /// What the profile needs.
        needed: &'static str,
    },
    /// What follows the prefix is not base64.
    #[error(
        "what follows the prefix `{prefix}` is not base64 (standard alphabet, with its padding)"
    )]
    NotBase64 {
        /// The prefix of this kind of secret.
        prefix: &'static str,
    },
    /// Base64 of a key that is too short or too long.
    #[error("the key has {found} bytes; it must have {needed}")]
    Length {
        /// Bytes after decoding.
        found: usize,
        /// What is allowed.
        needed: &'static str,
    },
    /// The halves of an Ed25519 key pair do not belong together.
    #[error("the private and the public half of the key do not belong together")]
    KeyPair,
    /// No point on the curve, or a weak one.
    #[error("this is no usable Ed25519 public key")]
    PublicKey,
}

/// A key that signs.
///
/// Made by [`Profile::signing_key`] in about 0.1 µs, so there is no need to keep it; only an Ed25519
/// key takes longer, for its public half.
#[derive(Clone)]
pub struct SigningKey(SigningKind);

#[derive(Clone)]
enum SigningKind {
    Sha256(Hmac<Sha256>),
    /// Boxed: it is twice as large as the usual kind, and there are as many keys as endpoints.
    Sha512(Box<Hmac<Sha512>>),
    Ed25519(ed25519_dalek::SigningKey),
}

/// A key that verifies: the shared secret, or the public half of an Ed25519 key.
#[derive(Clone)]
pub struct VerifyingKey(VerifyingKind);

#[derive(Clone)]
enum VerifyingKind {
    Shared(SigningKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl Profile {
    /// Prepares a secret for signing with this profile.
    ///
    /// # Errors
    /// When the text is not a secret that this profile can sign with.
    pub fn signing_key(&self, secret: &str) -> Result<SigningKey, SecretError> {
        let signature = self.signature().ok_or(SecretError::ProfileSignsNothing)?;
        SigningKey::parse(signature, secret)
    }

    /// Prepares a secret, or for Ed25519 also the public key `whpk_…`, for verifying.
    ///
    /// # Errors
    /// When the text is not a key that this profile can verify with.
    pub fn verifying_key(&self, secret: &str) -> Result<VerifyingKey, SecretError> {
        let signature = self.signature().ok_or(SecretError::ProfileSignsNothing)?;
        if signature.algorithm == Algorithm::Ed25519
            && let Some(text) = check_text(secret)?.strip_prefix(PUBLIC_PREFIX)
        {
            let bytes = decode(text, PUBLIC_PREFIX)?;
            let bytes =
                <[u8; 32]>::try_from(&bytes[..]).map_err(|_length| SecretError::Length {
                    found: bytes.len(),
                    needed: "32 bytes",
                })?;
            let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes)
                .map_err(|_not_a_point| SecretError::PublicKey)?;
            if key.is_weak() {
                return Err(SecretError::PublicKey);
            }
            return Ok(VerifyingKey(VerifyingKind::Ed25519(key)));
        }
        Ok(SigningKey::parse(signature, secret)?.verifying_key())
    }

    /// Makes a secret for this profile out of 32 random bytes.
    ///
    /// A shared secret has the form `whsec_…` whatever the profile, so that an endpoint can keep
    /// it when it changes from one HMAC profile to another; an Ed25519 key has the form `whsk_…`
    /// and holds the private and the public half.
    pub fn generate_secret(&self, random: &[u8; 32]) -> Zeroizing<String> {
        match self.signature().map(Signature::algorithm) {
            Some(Algorithm::Ed25519) => {
                let mut pair = ed25519_dalek::SigningKey::from_bytes(random).to_keypair_bytes();
                let secret = encode(PRIVATE_PREFIX, &pair);
                pair.zeroize();
                secret
            }
            Some(Algorithm::HmacSha256 | Algorithm::HmacSha512) | None => {
                encode(SECRET_PREFIX, random)
            }
        }
    }
}

impl SigningKey {
    fn parse(signature: &Signature, secret: &str) -> Result<Self, SecretError> {
        check_text(secret)?;
        let kind = match signature.algorithm {
            Algorithm::HmacSha256 => SigningKind::Sha256(shared_key(signature.key_form, secret)?),
            Algorithm::HmacSha512 => {
                SigningKind::Sha512(Box::new(shared_key(signature.key_form, secret)?))
            }
            Algorithm::Ed25519 => SigningKind::Ed25519(private_key(secret)?),
        };
        Ok(Self(kind))
    }

    /// The algorithm that the key signs with.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            SigningKind::Sha256(_) => Algorithm::HmacSha256,
            SigningKind::Sha512(_) => Algorithm::HmacSha512,
            SigningKind::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The public key `whpk_…` for receivers; none for a shared secret.
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            SigningKind::Sha256(_) | SigningKind::Sha512(_) => None,
            SigningKind::Ed25519(key) => Some(format!(
                "{PUBLIC_PREFIX}{}",
                STANDARD.encode(key.verifying_key().as_bytes())
            )),
        }
    }

    /// The key that verifies what this one signs.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(match &self.0 {
            SigningKind::Sha256(_) | SigningKind::Sha512(_) => VerifyingKind::Shared(self.clone()),
            SigningKind::Ed25519(key) => VerifyingKind::Ed25519(key.verifying_key()),
        })
    }

    /// Signs the parts as one text, without copying them together.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> Vec<u8> {
        match &self.0 {
            SigningKind::Sha256(mac) => authenticate(mac.clone(), parts),
            SigningKind::Sha512(mac) => authenticate(mac.as_ref().clone(), parts),
            SigningKind::Ed25519(key) => key.multipart_sign(parts).to_bytes().to_vec(),
        }
    }
}

impl VerifyingKey {
    /// The algorithm that the key verifies.
    pub const fn algorithm(&self) -> Algorithm {
        match &self.0 {
            VerifyingKind::Shared(key) => key.algorithm(),
            VerifyingKind::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Whether one of the signatures is this key's signature of the parts; its position.
    ///
    /// The length is compared first, so that nothing shorter than a whole signature can match;
    /// then the bytes, in constant time.
    pub(crate) fn find_match(&self, parts: &[&[u8]], signatures: &[Vec<u8>]) -> Option<usize> {
        match &self.0 {
            VerifyingKind::Shared(key) => {
                let expected = key.sign(parts);
                signatures.iter().position(|found| {
                    found.len() == expected.len() && bool::from(found.ct_eq(&expected))
                })
            }
            VerifyingKind::Ed25519(key) => {
                let content = parts.concat();
                signatures.iter().position(|found| {
                    ed25519_dalek::Signature::from_slice(found)
                        .is_ok_and(|found| key.verify_strict(&content, &found).is_ok())
                })
            }
        }
    }
}

fn authenticate<M: Mac>(mut mac: M, parts: &[&[u8]]) -> Vec<u8> {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

fn check_text(secret: &str) -> Result<&str, SecretError> {
    let fits = (1..=MAX_TEXT).contains(&secret.len());
    if !fits || secret.chars().any(char::is_control) || secret.trim() != secret {
        return Err(SecretError::Text);
    }
    Ok(secret)
}

fn shared_key<M: KeyInit>(form: KeyForm, secret: &str) -> Result<M, SecretError> {
    let bytes = match form {
        KeyForm::Utf8 => Zeroizing::new(secret.as_bytes().to_vec()),
        KeyForm::Base64AfterPrefix => {
            check_kind(secret, SECRET_PREFIX, "a shared secret (`whsec_…`)")?;
            let bytes = decode(
                secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret),
                SECRET_PREFIX,
            )?;
            if !SHARED_KEY_BYTES.contains(&bytes.len()) {
                return Err(SecretError::Length {
                    found: bytes.len(),
                    needed: "24 to 64 bytes",
                });
            }
            bytes
        }
    };
    Ok(M::new_from_slice(&bytes).expect("HMAC takes a key of any length (RFC 2104, section 2)"))
}

fn private_key(secret: &str) -> Result<ed25519_dalek::SigningKey, SecretError> {
    check_kind(secret, PRIVATE_PREFIX, "a private Ed25519 key (`whsk_…`)")?;
    let bytes = decode(
        secret.strip_prefix(PRIVATE_PREFIX).unwrap_or(secret),
        PRIVATE_PREFIX,
    )?;
    if let Ok(seed) = <&[u8; 32]>::try_from(&bytes[..]) {
        return Ok(ed25519_dalek::SigningKey::from_bytes(seed));
    }
    let pair = <&[u8; 64]>::try_from(&bytes[..]).map_err(|_length| SecretError::Length {
        found: bytes.len(),
        needed: "32 or 64 bytes",
    })?;
    ed25519_dalek::SigningKey::from_keypair_bytes(pair).map_err(|_mismatch| SecretError::KeyPair)
}

/// Refuses a secret whose prefix says that it is another kind of key.
fn check_kind(secret: &str, prefix: &str, needed: &'static str) -> Result<(), SecretError> {
    let kinds = [
        (SECRET_PREFIX, "a shared secret (`whsec_…`)"),
        (PRIVATE_PREFIX, "a private Ed25519 key (`whsk_…`)"),
        (PUBLIC_PREFIX, "a public Ed25519 key (`whpk_…`)"),
    ];
    match kinds
        .into_iter()
        .find(|(other, _)| *other != prefix && secret.starts_with(other))
    {
        Some((_, found)) => Err(SecretError::WrongKind { found, needed }),
        None => Ok(()),
    }
}

fn decode(text: &str, prefix: &'static str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    // The decoder's error names bytes of the secret, so it is not passed on.
    STANDARD
        .decode(text)
        .map(Zeroizing::new)
        .map_err(|_names_bytes| SecretError::NotBase64 { prefix })
}

fn encode(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(bytes));
    // Sized at once: growing would leave copies behind.
    let mut secret = Zeroizing::new(String::with_capacity(prefix.len() + encoded.len()));
    secret.push_str(prefix);
    secret.push_str(&encoded);
    secret
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, redacted)", self.algorithm().as_str())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, redacted)", self.algorithm().as_str())
    }
}
