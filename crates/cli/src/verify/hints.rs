//! Why a signature may not match: the usual mistakes, tried out.

use chrono::{DateTime, Utc};
use signpost_wire::builtin;

use super::request::SavedRequest;
use crate::receive::{Checker, Verdict};

/// A change under which the request verifies, said to a person.
pub(super) fn find(
    checker: &Checker,
    secrets: &[String],
    request: &SavedRequest,
    now: DateTime<Utc>,
) -> Option<String> {
    let verifies = |checker: &Checker, body: &[u8]| {
        matches!(
            checker.check(&request.headers, body, now, None),
            Verdict::Verified(_)
        )
    };
    if verifies(checker, &request.body) {
        return None; // It is the time that is wrong.
    }
    for (body, hint) in other_bodies(&request.body) {
        if verifies(checker, &body) {
            return Some(hint.to_owned());
        }
    }
    for other in builtin() {
        let is_other = other.name != checker.name();
        let Some(other_checker) = Checker::new(other.name, secrets).ok().filter(|_| is_other)
        else {
            continue;
        };
        if verifies(&other_checker, &request.body) {
            return Some(format!("it verifies under profile {}", other.name));
        }
    }
    let trimmed: Vec<_> = secrets
        .iter()
        .map(|secret| secret.trim().to_owned())
        .collect();
    if trimmed != secrets
        && let Ok(other) = Checker::new(checker.name(), &trimmed)
        && verifies(&other, &request.body)
    {
        return Some("it verifies without the white space around the secret".to_owned());
    }
    None
}

/// Bodies that were changed on the way in the usual manners.
fn other_bodies(body: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    let mut others = Vec::new();
    if let Some(shorter) = body.strip_suffix(b"\n") {
        let shorter = shorter.strip_suffix(b"\r").unwrap_or(shorter);
        others.push((
            shorter.to_vec(),
            "it verifies without the line feed at the end of the body: an editor has added it",
        ));
    } else {
        let mut longer = body.to_vec();
        longer.push(b'\n');
        others.push((
            longer,
            "it verifies with a line feed at the end of the body: the sender signed one more byte",
        ));
    }
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) {
        others.push((
            value.to_string().into_bytes(),
            "it verifies with the JSON written compactly: the body was formatted after signing",
        ));
    }
    others
}
