//! Event-type patterns: which types an endpoint wants.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{event_type::is_word, operator_event::OperatorEvent};

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an event type pattern: write an event type such as `license.created`, `*` for \
     everything, or use `*` for one word (`*.created`) or as the last word for all that follow (`license.*`)"
)]
pub struct PatternError(String);

/// An exact type, `*` for everything, `post.*` for all below `post`, or `*` in place of one word.
///
/// `*` alone leaves operator events out; they are asked for by name, as `delivery.failed`.
/// As the last word `*` stands for one or more words (`post.*` matches `post.created` and
/// `post.comment.created`, but not `post`); elsewhere it stands for exactly one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// When it is not a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let fits = (1..=128).contains(&text.len());
        if fits && text.split('.').all(|word| word == "*" || is_word(word)) {
            Ok(Self(text.into()))
        } else {
            Err(PatternError(text.chars().take(200).collect()))
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names exactly one type.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether an event of this type is wanted. `*` alone means everything that happens in the
    /// tenant's own world: operator events must be asked for, as by `delivery.failed` or
    /// `endpoint.*`. Otherwise each endpoint would be told of its own failures.
    pub fn matches(&self, event_type: &str) -> bool {
        if self.0.as_ref() == "*" {
            return !OperatorEvent::TYPES.contains(&event_type);
        }
        let mut words = event_type.split('.');
        let mut wanted = self.0.split('.').peekable();
        while let Some(want) = wanted.next() {
            let Some(word) = words.next() else {
                return false;
            };
            if want == "*" && wanted.peek().is_none() {
                return true;
            }
            if want != "*" && want != word {
                return false;
            }
        }
        words.next().is_none()
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_what_the_contract_says() {
        let cases = [
            ("*", "a", true),
            ("*", "a.b.c", true),
            ("*", "delivery.failed", false),
            ("delivery.failed", "delivery.failed", true),
            ("*.failed", "delivery.failed", true),
            ("endpoint.*", "endpoint.paused", true),
            ("endpoint.*", "endpoint.added", true),
            ("*", "endpoint.added", true),
            ("post.created", "post.created", true),
            ("post.created", "post.updated", false),
            ("post.created", "post.created.again", false),
            ("post.*", "post.created", true),
            ("post.*", "post.comment.created", true),
            ("post.*", "post", false),
            ("post.*", "poster.created", false),
            ("*.created", "post.created", true),
            ("*.created", "post.comment.created", false),
            ("*.created", "created", false),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.b.c", false),
            ("*.*", "a", false),
            ("*.*", "a.b", true),
            ("*.*", "a.b.c", true),
        ];
        for (pattern, event_type, expected) in cases {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(
                parsed.matches(event_type),
                expected,
                "{pattern} on {event_type}"
            );
        }
    }

    #[test]
    fn refuses_other_wildcards() {
        for bad in [
            "",
            ".",
            "a.",
            "a*",
            "*a",
            "a.**",
            "#",
            "a b",
            &"a".repeat(129),
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_exact_pattern_matches_itself_only(a in "[a-z]{1,3}(\\.[a-z]{1,3}){0,3}", b in "[a-z]{1,3}(\\.[a-z]{1,3}){0,3}") {
            let pattern = Pattern::parse(&a).unwrap();
            proptest::prop_assert!(pattern.matches(&a));
            proptest::prop_assert_eq!(pattern.matches(&b), a == b);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".*", event_type in ".*") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _matched = pattern.matches(&event_type);
            }
        }
    }
}
