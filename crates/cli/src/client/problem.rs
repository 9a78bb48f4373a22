//! The API's answer when it says no (RFC 9457), as a person wants to read it.

use std::fmt;

use serde::Deserialize;

use crate::output::{clean, shorten};

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status code.
    pub status: u16,
    /// What went wrong, for programs; empty when the answer was no problem document.
    pub code: String,
    /// What went wrong, for people.
    pub detail: String,
    /// Everything that is wrong with the content of the request.
    pub errors: Vec<FieldProblem>,
    /// When to come back, in seconds.
    pub retry_after: Option<u64>,
    /// The document as it came, if it was one.
    pub document: Option<String>,
}

/// One thing that is wrong with the content of a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FieldProblem {
    /// Where: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

#[derive(Deserialize)]
struct Document {
    code: String,
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<FieldProblem>,
}

impl Problem {
    /// Reads an answer. What is no problem document gives a problem all the same: a proxy in
    /// between, or another server, may answer anything.
    pub fn new(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Document>(body) {
            Ok(document) => Self {
                status,
                code: document.code,
                detail: document.detail.or(document.title).unwrap_or_default(),
                errors: document.errors,
                retry_after: None,
                document: Some(String::from_utf8_lossy(body).into_owned()),
            },
            Err(_not_a_problem) => {
                let text = String::from_utf8_lossy(body);
                Self {
                    status,
                    code: String::new(),
                    detail: shorten(text.trim(), 300).into_owned(),
                    errors: Vec::new(),
                    retry_after: None,
                    document: None,
                }
            }
        }
    }

    /// What the person can do about it, where that is not in the answer.
    fn advice(&self) -> Option<String> {
        match self.status {
            401 => Some("give a valid key with --key, SIGNPOST_KEY or a context".to_owned()),
            429 | 503 => Some(match self.retry_after {
                Some(seconds) => format!("try again in {seconds} s"),
                None => "try again later".to_owned(),
            }),
            404 if self.code.is_empty() => {
                Some("is this a Signpost API? check --server".to_owned())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = clean(&self.detail);
        if detail.is_empty() {
            write!(f, "the server answered {}", self.status)?;
        } else if let ([_, _, ..], Some((_, rest))) =
            (self.errors.as_slice(), detail.split_once("; and "))
        {
            // The list below says it all; the summary of the server would say the first one twice.
            debug_assert!(rest.ends_with("more"));
            write!(f, "{} things are wrong", self.errors.len())?;
        } else {
            write!(f, "{detail}")?;
        }
        if self.code.is_empty() {
            write!(f, " [{}]", self.status)?;
        } else {
            write!(f, " [{} {}]", self.status, clean(&self.code))?;
        }
        let is_said = self.errors.len() == 1 && detail.contains(self.errors[0].detail.as_str());
        for error in self.errors.iter().filter(|_| !is_said) {
            let pointer = if error.pointer.is_empty() {
                "(all)"
            } else {
                &error.pointer
            };
            write!(f, "\n  {}: {}", clean(pointer), clean(&error.detail))?;
        }
        match self.advice() {
            Some(advice) => write!(f, "\n  {advice}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pointer_is_shown() {
        let body = br#"{"code":"validation_failed","title":"no","status":422,
            "detail":"/url: only https:// URLs are allowed; and 1 more","errors":[
            {"pointer":"/url","detail":"only https:// URLs are allowed"},
            {"pointer":"/events","detail":"name at least one"}]}"#;
        insta::assert_snapshot!(Problem::new(422, body), @r"
        2 things are wrong [422 validation_failed]
          /url: only https:// URLs are allowed
          /events: name at least one
        ");
    }

    #[test]
    fn one_error_is_said_once() {
        let body = br#"{"code":"validation_failed","detail":"/url: only https:// URLs are allowed",
            "errors":[{"pointer":"/url","detail":"only https:// URLs are allowed"}]}"#;
        insta::assert_snapshot!(Problem::new(422, body), @"/url: only https:// URLs are allowed [422 validation_failed]");
    }

    #[test]
    fn advice_follows_where_there_is_any() {
        let mut problem = Problem::new(
            503,
            br#"{"code":"broker_unavailable","detail":"the broker is away"}"#,
        );
        problem.retry_after = Some(2);
        insta::assert_snapshot!(problem, @r"
        the broker is away [503 broker_unavailable]
          try again in 2 s
        ");
        insta::assert_snapshot!(Problem::new(401, br#"{"code":"unauthenticated","title":"A valid API key is needed"}"#), @r"
        A valid API key is needed [401 unauthenticated]
          give a valid key with --key, SIGNPOST_KEY or a context
        ");
    }

    #[test]
    fn what_is_no_problem_document_is_shown_too() {
        insta::assert_snapshot!(Problem::new(404, b"<html>\x1b[31mnot found</html>"), @r"
        <html>\u{1b}[31mnot found</html> [404]
          is this a Signpost API? check --server
        ");
        insta::assert_snapshot!(Problem::new(500, b""), @"the server answered 500 [500]");
    }
}
