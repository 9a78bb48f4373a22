//! Event types: `license.created`.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::id::{IdError, text_newtype};

text_newtype!(
    /// Words of `[A-Za-z0-9_-]` joined by dots, at most 128 characters.
    EventType,
    "event type",
    "1 to 128 characters: words of A-Z, a-z, 0-9, `_` and `-` joined by single dots, as in `license.created`",
    is_event_type
);

/// Whether `text` is an event type.
pub(crate) fn is_event_type(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.split('.').all(is_word)
}

pub(crate) fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_dotted_words_only() {
        for good in [
            "a",
            "license.created",
            "secret_opened_successful",
            "A-b.C_d.9",
        ] {
            assert!(EventType::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a.*",
            "ä",
            &"a".repeat(129),
        ] {
            assert!(EventType::parse(bad).is_err(), "{bad}");
        }
    }
}
