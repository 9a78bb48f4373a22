//! An event: an immutable fact.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::{EventId, EventType, TenantId};

/// Deepest nesting of an event's data; deeper is refused (security: stack use of parsers).
pub const MAX_DATA_DEPTH: usize = 64;

/// A fact that a publisher reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whose event it is.
    pub tenant: TenantId,
    /// Its id, unique within the tenant.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// The facts: JSON, kept byte for byte.
    pub data: Bytes,
}

impl Event {
    /// What makes two events with one id the same event: SHA-256 over type and data. The time is
    /// left out, since a publisher that repeats itself may not remember it.
    pub fn content_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.event_type.as_str());
        hash.update([0]);
        hash.update(&self.data);
        hash.finalize().into()
    }
}

/// Why bytes are not the data of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Not JSON.
    #[error("not valid JSON: {0}")]
    NotJson(String),
    /// Nested deeper than [`MAX_DATA_DEPTH`].
    #[error("nested deeper than {MAX_DATA_DEPTH} levels")]
    TooDeep,
}

/// Checks that `data` is one JSON value, nested at most [`MAX_DATA_DEPTH`] deep. It is not
/// changed: number formats, key order and white space are the publisher's.
///
/// # Errors
/// What is wrong with it.
pub fn check_data(data: &[u8]) -> Result<(), DataError> {
    check_depth(data)?;
    match serde_json::from_slice::<&serde_json::value::RawValue>(data) {
        Ok(_) => Ok(()),
        Err(error) => Err(DataError::NotJson(error.to_string())),
    }
}

/// Checks the nesting alone, for data that is known to be JSON.
///
/// # Errors
/// [`DataError::TooDeep`].
pub fn check_depth(data: &[u8]) -> Result<(), DataError> {
    if depth(data) > MAX_DATA_DEPTH {
        return Err(DataError::TooDeep);
    }
    Ok(())
}

/// The deepest nesting of brackets outside strings, counted without recursion.
fn depth(data: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for &byte in data {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_any_json_value_not_too_deep() {
        for good in [
            "{}",
            "1.0",
            "null",
            "\"a[[[[\"",
            " [1, 2] ",
            "12345678901234567890",
            "\"\\\"[\"",
        ] {
            assert_eq!(check_data(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["", "{", "{}{}", "nope", "{\"a\":1,}", "\"\u{1}\""] {
            assert!(
                matches!(check_data(bad.as_bytes()), Err(DataError::NotJson(_))),
                "{bad}"
            );
        }
        assert!(matches!(
            check_data(b"\"\xff\""),
            Err(DataError::NotJson(_))
        ));
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert_eq!(check_data(nested(64).as_bytes()), Ok(()));
        assert_eq!(check_data(nested(65).as_bytes()), Err(DataError::TooDeep));
        assert_eq!(
            check_data(nested(200_000).as_bytes()),
            Err(DataError::TooDeep)
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_check_panic(bytes: Vec<u8>) {
            let _checked = check_data(&bytes);
        }
    }
}
