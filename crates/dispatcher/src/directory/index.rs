//! Which endpoints of a tenant want an event type: their patterns as a tree, a word a step.
//!
//! So an event costs the words of its type, not the patterns of the tenant.

use std::collections::BTreeMap;

use signpost_domain::{EventType, OperatorEvent, Pattern};
use smallvec::SmallVec;

/// Positions of endpoints by what they want.
#[derive(Debug, Default)]
pub(super) struct PatternIndex {
    root: Node,
    /// Those that want `*`, which leaves operator events out: see [`Pattern::matches`].
    everything: Vec<u32>,
}

/// What may follow the words that lead here. Small: there are as many as there are patterns, and more.
#[derive(Debug, Default)]
struct Node {
    /// Boxed, since nothing follows most patterns.
    branches: Option<Box<Branches>>,
    /// Who wants it. Most patterns are of one endpoint.
    wanted: SmallVec<[Wanted; 1]>,
}

/// That an endpoint has a pattern which ends here.
#[derive(Debug)]
struct Wanted {
    position: u32,
    /// Its last word is a `*`, for all that may follow here.
    is_open: bool,
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
        node.wanted.push(Wanted { position, is_open });
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
        let is_open = rest.is_some();
        let wanted = self
            .wanted
            .iter()
            .filter(|wanted| wanted.is_open == is_open);
        found.extend(wanted.map(|wanted| wanted.position));
        let Some(rest) = rest else { return };
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
    fn a_pattern_takes_little_memory() {
        assert!(size_of::<Node>() <= 32);
    }

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
