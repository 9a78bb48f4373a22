//! The master keys, and the encryption of secrets at rest.
//!
//! Used by everything here that stores a secret. A sealed secret is bound to its row: tenant,
//! endpoint, secret id and version are authenticated with it, so that a ciphertext that is moved
//! to another row does not open. Neither keys nor secrets ever appear in an error or in `Debug`.
//!
//! Format: `version (1) | length of kid | kid | nonce (24) | ciphertext and tag`, with
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), whose nonce is long enough to be random.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Why a sealed secret does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The key ring has no key of that name.
    #[error("it was encrypted with master key {kid:?}, which is not in SIGNPOST_MASTER_KEYS")]
    UnknownKey {
        /// The missing key's name.
        kid: String,
    },
    /// The key of that name is another one than it was, or the row has been tampered with.
    #[error(
        "it does not open with master key {kid:?}: the key is not the one it was encrypted with, or the row was changed"
    )]
    WrongKey {
        /// The key's name.
        kid: String,
    },
    /// The bytes are not a sealed secret.
    #[error("it is not in a format that this version knows")]
    UnknownFormat,
}

/// Everything that is wrong with a text that should be a key ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SIGNPOST_MASTER_KEYS: {}", problems.join("; "))]
pub struct KeyRingError {
    /// One sentence per problem.
    pub problems: Vec<String>,
}

#[derive(Clone)]
struct MasterKey {
    kid: String,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

/// The master keys. The first one encrypts; all of them decrypt.
#[derive(Clone)]
pub struct KeyRing(Vec<MasterKey>);

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.kids()).finish()
    }
}

impl KeyRing {
    /// Reads `kid:base64[,kid:base64…]`; the first is the primary. A kid has 1 to 32 characters
    /// of a-z, 0-9, `_` and `-`; a key has 32 bytes, in standard base64.
    ///
    /// # Errors
    /// Every problem at once; keys are named by their place and kid, never shown.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<MasterKey> = Vec::new();
        let mut problems = Vec::new();
        for (index, part) in text.trim().split(',').map(str::trim).enumerate() {
            match parse_key(part) {
                Ok(key) if keys.iter().any(|other| other.kid == key.kid) => {
                    problems.push(format!("two keys are named {:?}", key.kid));
                }
                Ok(key) => keys.push(key),
                Err(problem) => problems.push(format!("key {}: {problem}", index + 1)),
            }
        }
        if problems.is_empty() {
            Ok(Self(keys))
        } else {
            Err(KeyRingError { problems })
        }
    }

    /// The names of the keys, the primary first.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.kid.as_str())
    }

    /// The name of the key that encrypts.
    pub(crate) fn primary(&self) -> &str {
        &self.0[0].kid
    }

    /// Encrypts with the primary key, bound to `place`.
    pub(crate) fn seal(&self, plain: &[u8], place: &Place<'_>) -> Vec<u8> {
        let MasterKey { kid, key } = &self.0[0];
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let aad = place.to_bytes();
        let sealed = XChaCha20Poly1305::new((&**key).into()).encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: plain,
                aad: &aad,
            },
        );
        #[expect(
            clippy::expect_used,
            reason = "fails only for more than 256 GiB of text"
        )]
        let sealed = sealed.expect("a secret is short");
        let kid_length = u8::try_from(kid.len()).unwrap_or(u8::MAX); // At most 32, see parse_key.
        let mut bytes = vec![FORMAT, kid_length];
        bytes.extend_from_slice(kid.as_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        bytes
    }

    /// Decrypts what [`KeyRing::seal`] made for the same `place`.
    pub(crate) fn open(
        &self,
        sealed: &[u8],
        place: &Place<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let (kid, nonce, ciphertext) = split(sealed).ok_or(SecretError::UnknownFormat)?;
        let Some(master) = self.0.iter().find(|key| key.kid == kid) else {
            return Err(SecretError::UnknownKey {
                kid: kid.to_owned(),
            });
        };
        let aad = place.to_bytes();
        XChaCha20Poly1305::new((&*master.key).into())
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: ciphertext,
                    aad: &aad,
                },
            )
            .map(Zeroizing::new)
            .map_err(|_opaque| SecretError::WrongKey {
                kid: kid.to_owned(),
            })
    }
}

/// The row that a sealed text belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) tenant: &'a str,
    /// The endpoint, `''` for the tenant's own secret; or what else owns it.
    pub(crate) owner: &'a str,
    pub(crate) id: &'a str,
    pub(crate) version: i32,
}

impl Place<'_> {
    /// Each part with its length before it, so that no two places give the same bytes.
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        for part in [self.tenant, self.owner, self.id] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes
    }
}

fn parse_key(part: &str) -> Result<MasterKey, String> {
    let Some((kid, encoded)) = part.split_once(':') else {
        return Err("write kid:base64, as in `2026-01:` and 32 random bytes in base64".to_owned());
    };
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if !(1..=32).contains(&kid.len()) || !kid.bytes().all(is_plain) {
        return Err("its name must have 1 to 32 characters of a-z, 0-9, `_` and `-`".to_owned());
    }
    let Ok(bytes) = STANDARD.decode(encoded).map(Zeroizing::new) else {
        return Err(format!("the key {kid:?} is not standard base64"));
    };
    let Ok(key) = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) else {
        return Err(format!(
            "the key {kid:?} has {} bytes; it must have 32",
            bytes.len()
        ));
    };
    Ok(MasterKey {
        kid: kid.to_owned(),
        key: Zeroizing::new(key),
    })
}

fn split(sealed: &[u8]) -> Option<(&str, &[u8; NONCE_BYTES], &[u8])> {
    let (&format, rest) = sealed.split_first()?;
    let (&kid_length, rest) = rest.split_first()?;
    let (kid, rest) = rest.split_at_checked(usize::from(kid_length))?;
    let (nonce, ciphertext) = rest.split_first_chunk()?;
    (format == FORMAT).then_some((std::str::from_utf8(kid).ok()?, nonce, ciphertext))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place {
        tenant: "acme",
        owner: "ep_1",
        id: "sec_1",
        version: 1,
    };

    fn ring(text: &str) -> KeyRing {
        KeyRing::parse(text).unwrap()
    }

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; KEY_BYTES])
    }

    #[test]
    fn a_secret_opens_only_in_its_own_place() {
        let ring = ring(&format!("a:{}", key(1)));
        let sealed = ring.seal(b"whsec_x", &PLACE);
        assert_eq!(ring.open(&sealed, &PLACE).unwrap().as_slice(), b"whsec_x");
        let others = [
            Place {
                tenant: "acm",
                owner: "eep_1",
                ..PLACE
            },
            Place {
                owner: "ep_2",
                ..PLACE
            },
            Place {
                id: "sec_2",
                ..PLACE
            },
            Place {
                version: 2,
                ..PLACE
            },
        ];
        for other in others {
            let wrong = SecretError::WrongKey {
                kid: "a".to_owned(),
            };
            assert_eq!(ring.open(&sealed, &other).unwrap_err(), wrong);
        }
    }

    #[test]
    fn a_new_primary_still_opens_what_the_old_one_sealed() {
        let old = ring(&format!("a:{}", key(1)));
        let both = ring(&format!("b:{},a:{}", key(2), key(1)));
        let new = ring(&format!("b:{}", key(2)));
        let sealed = old.seal(b"x", &PLACE);
        assert!(both.open(&sealed, &PLACE).is_ok());
        let missing = SecretError::UnknownKey {
            kid: "a".to_owned(),
        };
        assert_eq!(new.open(&sealed, &PLACE).unwrap_err(), missing);
        assert!(new.open(&both.seal(b"x", &PLACE), &PLACE).is_ok());
    }

    #[test]
    fn a_key_ring_names_every_problem_and_no_key() {
        let text = format!("a:{},A:{},b:!!,c:AAAA,a:{},", key(1), key(2), key(3));
        let error = KeyRing::parse(&text).unwrap_err();
        assert_eq!(error.problems.len(), 5, "{error}");
        assert!(!error.to_string().contains(&key(2)) && !error.to_string().contains("AAAA"));
        assert!(KeyRing::parse("").is_err());
    }

    #[test]
    fn bytes_that_are_no_secret_are_refused() {
        let ring = ring(&format!("a:{}", key(1)));
        let sealed = ring.seal(b"x", &PLACE);
        for cut in 0..sealed.len() {
            assert!(ring.open(&sealed[..cut], &PLACE).is_err(), "{cut}");
        }
        let mut other = sealed.clone();
        other[0] = 2;
        assert_eq!(
            ring.open(&other, &PLACE).unwrap_err(),
            SecretError::UnknownFormat
        );
    }
}
