//! An endpoint's status, and the rules for the texts that describe one.

use serde::{Deserialize, Serialize};

use crate::{Pattern, Problem, attempt::closed_set};

/// Most patterns of one endpoint.
pub const MAX_PATTERNS: usize = 100;
/// Longest name of an endpoint, in characters.
pub const MAX_NAME: usize = 200;

closed_set! {
    /// Whether an endpoint gets its deliveries.
    EndpointStatus {
        /// Deliveries are sent.
        Active = "active",
        /// Deliveries are held, and sent oldest first once it is active again.
        Paused = "paused",
        /// Nothing is sent; each matching event leaves a discarded delivery.
        Disabled = "disabled",
    }
}

/// Checks the patterns of an endpoint: at least one, each valid.
///
/// # Errors
/// Every problem, with pointers below `/events`.
pub fn check_patterns(texts: &[String]) -> Result<Vec<Pattern>, Vec<Problem>> {
    let mut problems = Vec::new();
    if texts.is_empty() {
        problems.push(Problem::new(
            "/events",
            "name at least one event type pattern; `*` is everything",
        ));
    }
    if texts.len() > MAX_PATTERNS {
        problems.push(Problem::new(
            "/events",
            format!("at most {MAX_PATTERNS} patterns"),
        ));
    }
    let mut patterns = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match Pattern::parse(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                problems.push(Problem::new(format!("/events/{index}"), error.to_string()));
            }
        }
    }
    if problems.is_empty() {
        Ok(patterns)
    } else {
        Err(problems)
    }
}

/// Checks the name of an endpoint: 1 to 200 characters, none of them a control character.
///
/// # Errors
/// What is wrong, at `/name`.
pub fn check_name(name: &str) -> Result<(), Problem> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Problem::new(
            "/name",
            format!("a name has 1 to {MAX_NAME} characters and no control characters"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_every_bad_pattern_at_once() {
        let texts = ["a.*".to_owned(), "b*".to_owned(), String::new()];
        let problems = check_patterns(&texts).unwrap_err();
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/events/1", "/events/2"]);
        assert_eq!(check_patterns(&[]).unwrap_err()[0].pointer, "/events");
    }

    #[test]
    fn a_name_is_short_and_visible() {
        assert!(check_name("Billing").is_ok());
        for bad in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
