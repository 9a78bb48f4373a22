//! Reads the query string parameter by parameter and gathers every problem, as `fields` does for
//! bodies.

use std::fmt::Display;

use axum::extract::FromRequestParts;
use chrono::{DateTime, Utc};
use http::request::Parts;
use signpost_domain::Problem;

use crate::error::{ApiError, ErrorCode};

/// Most items of one page.
pub const MAX_LIMIT: i64 = 250;
/// Items of a page when nothing is said.
pub const DEFAULT_LIMIT: i64 = 50;

/// The parameters of a query string that is being read.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl Query {
    /// Reads `a=b&c=d`.
    pub fn parse(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self {
            pairs,
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// A parameter as it stands.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let position = self.pairs.iter().position(|(found, _)| found == name)?;
        let (_, value) = self.pairs.remove(position);
        if self.pairs.iter().any(|(found, _)| found == name) {
            self.pairs.retain(|(found, _)| found != name);
            self.problem(name, "give this once");
            return None;
        }
        Some(value)
    }

    /// A parameter, read by a parser whose error is a sentence.
    pub fn parsed<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, error.to_string());
                None
            }
        }
    }

    /// A time (RFC 3339).
    pub fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        self.parsed(name, parse_moment)
    }

    /// How many items a page may have.
    pub fn limit(&mut self) -> i64 {
        let rule = format!("a whole number from 1 to {MAX_LIMIT}");
        self.parsed("limit", |text| {
            let plain = text.bytes().all(|b| b.is_ascii_digit());
            match text.parse() {
                Ok(limit) if plain && (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
                Ok(_) | Err(_) => Err(rule),
            }
        })
        .unwrap_or(DEFAULT_LIMIT)
    }

    /// Notes a problem with a parameter.
    pub fn problem(&mut self, name: &str, detail: impl Into<String>) {
        self.problems.push(Problem::new(format!("/{name}"), detail));
    }

    /// Everything that was wrong, parameters that nobody asked for among it.
    ///
    /// # Errors
    /// All problems at once.
    pub fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            let detail = format!(
                "there is no such parameter; there are `{}`",
                self.known.join("`, `")
            );
            self.problem(&super::fields::escape(&name), detail);
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::listing(ErrorCode::InvalidQuery, self.problems))
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// Reads a time as RFC 3339 has it: the years 0 to 9999.
///
/// # Errors
/// A sentence that says what is needed.
pub fn parse_moment(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|time| time.with_timezone(&Utc))
        .map_err(|_error| "a time as in RFC 3339, such as 2026-01-31T12:00:00Z")
}

/// Reads the time of an event. AMQP's timestamps begin with 1970.
///
/// # Errors
/// A sentence that says what is needed.
pub fn parse_event_time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let time = parse_moment(text)?;
    let is_usable = (0..253_402_300_800).contains(&time.timestamp());
    is_usable
        .then_some(time)
        .ok_or("an event happens in the years 1970 to 9999")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there_and_refuses_the_rest() {
        let mut query = Query::parse("limit=10&since=2026-01-31T12:00:00%2B01:00");
        assert_eq!(query.limit(), 10);
        assert_eq!(
            query.time("since").unwrap().to_rfc3339(),
            "2026-01-31T11:00:00+00:00"
        );
        assert!(query.finish().is_ok());

        let mut query = Query::parse("limit=0&since=now&since=then&colour=red");
        query.limit();
        query.time("since");
        let body = query.finish().unwrap_err().body();
        let pointers: Vec<_> = body.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["/limit", "/since", "/colour"]);
        for bad in ["251", "-1", "+1", "x", "", "99999999999999999999"] {
            let mut query = Query::parse(&format!("limit={bad}"));
            query.limit();
            assert!(query.finish().is_err(), "{bad}");
        }
    }
}
