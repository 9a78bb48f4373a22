//! The text of an API key: `sp_` + the id's 26 characters + `_` + 64 hex digits of 256 random
//! bits + 8 hex digits of a checksum.
//!
//! The id part finds the key's row without a search, the checksum lets a typing error or a
//! secret scanner's find be told from a real key without asking the database. Only the SHA-256 of
//! the whole text is stored: 256 random bits need no slow hash.

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use signpost_domain::KeyId;

const PREFIX: &str = "sp_";
const ID_CHARS: usize = 26;
const SECRET_CHARS: usize = 64;
const CHECKSUM_CHARS: usize = 8;
/// Characters of a whole key.
pub const KEY_CHARS: usize = PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + CHECKSUM_CHARS;

/// Makes the text of a new key.
pub fn make(id: &KeyId, random: &[u8; 32]) -> SecretString {
    let id = id.as_str().trim_start_matches("key_");
    let body = format!("{PREFIX}{id}_{}", hex::encode(random));
    let checksum = checksum(&body);
    SecretString::from(format!("{body}{checksum}"))
}

/// The id of the key, when the text has the form of a key and its checksum is right.
pub fn read_id(text: &str) -> Option<KeyId> {
    if text.len() != KEY_CHARS || !text.is_ascii() {
        return None;
    }
    let (body, found) = text.split_at(KEY_CHARS - CHECKSUM_CHARS);
    let (id, secret) = body.strip_prefix(PREFIX)?.split_at(ID_CHARS);
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    if !secret.starts_with('_') || !is_hex(&secret[1..]) || checksum(body) != found {
        return None;
    }
    KeyId::parse(&format!("key_{id}")).ok()
}

/// What is stored of a key, and compared.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The first 4 bytes of the SHA-256, in hex. It protects against errors, not against people.
fn checksum(body: &str) -> String {
    hex::encode(&hash(body)[..CHECKSUM_CHARS / 2])
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_key_tells_its_id_and_a_typing_error_shows() {
        let id = KeyId::generate(DateTime::from_timestamp(1_700_000_000, 0).unwrap(), [7; 10]);
        let key = make(&id, &[42; 32]);
        let text = key.expose_secret();
        assert_eq!(text.len(), KEY_CHARS);
        assert_eq!(read_id(text), Some(id));
        for at in 0..text.len() {
            let mut wrong = text.to_owned();
            let other = if text.as_bytes()[at] == b'a' {
                "b"
            } else {
                "a"
            };
            wrong.replace_range(at..=at, other);
            assert_eq!(read_id(&wrong), None, "{wrong}");
        }
        for bad in ["", "sp_", "Bearer", &"ä".repeat(51), &"_".repeat(KEY_CHARS)] {
            assert_eq!(read_id(bad), None, "{bad}");
        }
    }
}
