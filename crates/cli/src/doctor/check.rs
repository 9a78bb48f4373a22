//! One thing that was looked at.

use serde::Serialize;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works; somebody should have a look.
    Warn,
    /// It does not work.
    Bad,
    /// It was not looked at.
    Skipped,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) what: String,
    pub(super) state: State,
    pub(super) found: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) to_do: String,
}

impl Check {
    pub(super) fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(what, State::Ok, found, "")
    }

    pub(super) fn warn(what: impl Into<String>, found: impl Into<String>, to_do: &str) -> Self {
        Self::new(what, State::Warn, found, to_do)
    }

    pub(super) fn bad(what: impl Into<String>, found: impl Into<String>, to_do: &str) -> Self {
        Self::new(what, State::Bad, found, to_do)
    }

    pub(super) fn skipped(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, State::Skipped, why, "")
    }

    fn new(what: impl Into<String>, state: State, found: impl Into<String>, to_do: &str) -> Self {
        Self {
            what: what.into(),
            state,
            found: found.into(),
            to_do: to_do.to_owned(),
        }
    }
}
