//! Which endpoints of a tenant want an event type: exact types by name, patterns by first word.
//!
//! So an event is compared with the few endpoints that could want it, not with all of them.

use std::collections::HashMap;

use signpost_domain::Pattern;

/// Positions of endpoints by what they want.
#[derive(Debug, Default)]
pub(super) struct PatternIndex {
    exact: HashMap<Box<str>, Vec<u32>>,
    by_first_word: HashMap<Box<str>, Vec<(Pattern, u32)>>,
    any_first_word: Vec<(Pattern, u32)>,
}

impl PatternIndex {
    /// Adds an endpoint's pattern.
    pub(super) fn add(&mut self, pattern: &Pattern, position: u32) {
        let text = pattern.as_str();
        let first = text.split('.').next().unwrap_or(text);
        if pattern.is_exact() {
            self.exact.entry(text.into()).or_default().push(position);
        } else if first == "*" {
            self.any_first_word.push((pattern.clone(), position));
        } else {
            self.by_first_word
                .entry(first.into())
                .or_default()
                .push((pattern.clone(), position));
        }
    }

    /// The positions of all endpoints that want the type, in ascending order, each once.
    pub(super) fn matching(&self, event_type: &str) -> Vec<u32> {
        let first = event_type.split('.').next().unwrap_or(event_type);
        let mut found = self.exact.get(event_type).cloned().unwrap_or_default();
        let patterns = self
            .by_first_word
            .get(first)
            .into_iter()
            .flatten()
            .chain(&self.any_first_word);
        found.extend(
            patterns
                .filter(|(pattern, _)| pattern.matches(event_type))
                .map(|(_, at)| *at),
        );
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_scan_over_all_patterns_finds() {
        let patterns = [
            "*",
            "post.*",
            "post.created",
            "*.created",
            "post.comment.*",
            "user.created",
            "*.*.created",
            "post.*.created",
        ];
        let parsed: Vec<_> = patterns
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect();
        let mut index = PatternIndex::default();
        for (at, pattern) in (0..).zip(&parsed) {
            index.add(pattern, at);
        }
        index.add(&parsed[0], 1);
        for event_type in [
            "post.created",
            "post.comment.created",
            "user.created",
            "post",
            "created",
            "a.b.c.d",
        ] {
            let scan: Vec<u32> = (0..)
                .zip(&parsed)
                .filter(|(at, pattern)| pattern.matches(event_type) || *at == 1)
                .map(|(at, _)| at)
                .collect();
            assert_eq!(index.matching(event_type), scan, "{event_type}");
        }
    }
}
