//! Which endpoints of a tenant want an event type: their patterns as a tree, a word a step.
//!
//! So an event costs the words of its type, not the patterns of the tenant.

use std::collections::BTreeMap;

use signpost_domain::{EventType, OperatorEvent, Pattern};

/// Positions of endpoints by what they want.
#[derive(Debug, Default)]
pub(super) struct PatternIndex {
    root: Node,
    /// Those that want `*`, which leaves operator events out: see [`Pattern::matches`].
    everything: Vec<u32>,
}

/// What may follow the words that lead here.
#[derive(Debug, Default)]
struct Node {
    /// Boxed, since nothing follows most patterns.
    branches: Option<Box<Branches>>,
    /// Patterns that end here.
    ending: Vec<u32>,
    /// Patterns whose last word is a `*` for all that may follow here.
    open: Vec<u32>,
}

/// What follows a word.
#[derive(Debug, Default)]
struct Branches {
    next: BTreeMap<Box<str>, Node>,
    /// What follows a `*` that stands for exactly one word.
    any: Node,
}

impl PatternIndex {
    /// Adds an endpoint's pattern.
    pub(super) fn add(&mut self, pattern: &Pattern, position: u32) {
        let text = pattern.as_str();
        if text == "*" {
            self.everything.push(position);
            return;
        }
        let (words, is_open) = match text.strip_suffix(".*") {
            Some(words) => (words, true),
            None => (text, false),
        };
        let mut node = &mut self.root;
        for word in words.split('.') {
            let branches = node.branches.get_or_insert_default();
            node = if word == "*" {
                &mut branches.any
            } else {
                branches.next.entry(word.into()).or_default()
            };
        }
        if is_open {
            node.open.push(position);
        } else {
            node.ending.push(position);
        }
    }

    /// The positions of all endpoints that want the type, in ascending order, each once.
    pub(super) fn matching(&self, event_type: &EventType) -> Vec<u32> {
        let mut found = Vec::new();
        if !OperatorEvent::is_type(event_type) {
            found.extend(&self.everything);
        }
        self.root.collect(Some(event_type.as_str()), &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Node {
    /// `rest` is what of the type is still to be read.
    fn collect(&self, rest: Option<&str>, found: &mut Vec<u32>) {
        let Some(rest) = rest else {
            found.extend(&self.ending);
            return;
        };
        found.extend(&self.open);
        let Some(branches) = &self.branches else {
            return;
        };
        let (word, rest) = match rest.split_once('.') {
            Some((word, rest)) => (word, Some(rest)),
            None => (rest, None),
        };
        if let Some(node) = branches.next.get(word) {
            node.collect(rest, found);
        }
        branches.any.collect(rest, found);
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
            "*.failed",
            "*.*",
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
            "delivery.failed",
        ] {
            let scan: Vec<u32> = (0..)
                .zip(&parsed)
                .filter(|(at, pattern)| {
                    pattern.matches(event_type) || *at == 1 && parsed[0].matches(event_type)
                })
                .map(|(at, _)| at)
                .collect();
            let event_type = EventType::parse(event_type).unwrap();
            assert_eq!(index.matching(&event_type), scan, "{event_type}");
        }
    }
}
