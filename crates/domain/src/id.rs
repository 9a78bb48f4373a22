//! Identifiers: tenants choose theirs, publishers may bring an event's, the rest are TypeIDs
//! (a prefix, `_`, and a UUIDv7 in Crockford base32; <https://github.com/jetify-com/typeid>).

use std::{fmt, str::FromStr, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Why a text is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {} {kind}: it must be {rule}", article(.kind))]
pub struct IdError {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

impl IdError {
    pub(crate) fn new(kind: &'static str, text: &str, rule: &'static str) -> Self {
        let text = text.chars().take(200).collect();
        Self { kind, text, rule }
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes `text`.
            ///
            /// # Errors
            /// When the text breaks the rule that the error names.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(IdError::new($kind, text, $rule)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use text_newtype;

macro_rules! type_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        text_newtype!(
            $(#[$doc])* $name,
            $prefix,
            concat!("`", $prefix, "_` and 26 characters of Crockford base32"),
            |text| text.strip_prefix(concat!($prefix, "_")).is_some_and(is_base32_uuid)
        );

        impl $name {
            /// Makes a new id from the time and ten random bytes.
            pub fn generate(now: DateTime<Utc>, random: [u8; 10]) -> Self {
                Self(type_id($prefix, now, random).into())
            }
        }
    };
}

text_newtype!(
    /// The owner of endpoints, events and deliveries.
    TenantId,
    "tenant id",
    "1 to 64 characters of a-z, 0-9, `_` and `-`, the first a letter or a digit",
    |text| {
        let mut bytes = text.bytes();
        text.len() <= 64
            && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && bytes.all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    }
);

text_newtype!(
    /// An event's id: a publisher's own, or a generated `evt_…`.
    EventId,
    "event id",
    "1 to 128 characters of A-Z, a-z, 0-9, `_` and `-`",
    |text| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    }
);

impl EventId {
    /// Makes a new id (`evt_…`) from the time and ten random bytes.
    pub fn generate(now: DateTime<Utc>, random: [u8; 10]) -> Self {
        Self(type_id("evt", now, random).into())
    }
}

type_id!(
    /// An endpoint's id, `ep_…`.
    EndpointId,
    "ep"
);
type_id!(
    /// A delivery's id, `dlv_…`.
    DeliveryId,
    "dlv"
);
type_id!(
    /// An API key's id, `key_…`.
    KeyId,
    "key"
);

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A TypeID with this prefix, from the time and ten random bytes.
pub fn type_id(prefix: &str, now: DateTime<Utc>, random: [u8; 10]) -> String {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    let mut bits = uuid::Builder::from_unix_timestamp_millis(millis, &random)
        .into_uuid()
        .as_u128();
    let mut digits = [b'0'; 26];
    for digit in digits.iter_mut().rev() {
        *digit = CROCKFORD[(bits & 31) as usize];
        bits >>= 5;
    }
    let mut text = String::with_capacity(prefix.len() + 27);
    text.push_str(prefix);
    text.push('_');
    text.extend(digits.iter().map(|&digit| char::from(digit)));
    text
}

/// 128 bits need 26 digits of 5 bits; the first digit can only be 0 to 7.
fn is_base32_uuid(text: &str) -> bool {
    text.len() == 26
        && matches!(text.as_bytes()[0], b'0'..=b'7')
        && text.bytes().all(|b| CROCKFORD.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }

    #[test]
    fn encodes_the_published_typeid_example() {
        // 01890a5d-ac96-774b-bcce-b302099a8057 is 01h455vb4pex5vsknk084sn02q in the TypeID text.
        let bytes = 0x0189_0a5d_ac96_774b_bcce_b302_099a_8057_u128.to_be_bytes();
        let random: [u8; 10] = bytes[6..].try_into().unwrap();
        let millis = 0x0189_0a5d_ac96;
        assert_eq!(
            type_id("prefix", at(millis), random),
            "prefix_01h455vb4pex5vsknk084sn02q"
        );
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = DeliveryId::generate(at(1_700_000_000_000), [255; 10]);
        let late = DeliveryId::generate(at(1_700_000_000_001), [0; 10]);
        assert!(early < late);
        assert_eq!(DeliveryId::parse(early.as_str()), Ok(early));
    }

    #[test]
    fn refuses_ids_that_break_the_rule() {
        for bad in ["", "Acme", "-a", "_a", "a b", "a.b", &"a".repeat(65), "ä"] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "0", "acme-1_x", &"a".repeat(64)] {
            assert!(TenantId::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a.b", "a b", "ä", &"a".repeat(129)] {
            assert!(EventId::parse(bad).is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "ep_",
            "dlv_01h455vb4pex5vsknk084sn02q",
            "ep_81h455vb4pex5vsknk084sn02q",
            "ep_01h455vb4pex5vsknk084sn02u",
        ] {
            assert!(EndpointId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
