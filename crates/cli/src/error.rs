//! What can go wrong, and which exit code it gives.
//!
//! Every command returns [`CliError`]; `lib.rs` shows it once and turns it into the exit code.
//! The codes are part of the command line's contract: scripts depend on them.

use std::fmt;
use std::io;

use crate::client::Problem;

/// The result of everything here.
pub type Result<T, E = CliError> = std::result::Result<T, E>;

/// The exit codes of `signpost`, as `signpost --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or ended on request.
    Ok = 0,
    /// It was tried and did not work, or a check found something wrong.
    Failure = 1,
    /// Wrong use of the command line, or a bad configuration.
    Usage = 2,
    /// What was named is not there (404, 410).
    NotFound = 3,
    /// The key is missing, unknown, or not allowed to do this (401, 403).
    Refused = 4,
    /// The server understood and declined the input (400, 409, 413, 415, 422).
    Invalid = 5,
    /// Nobody answers, or the server says "later" (429, 502, 503, 504).
    Unavailable = 6,
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum CliError {
    /// Wrong use or configuration; the text says what would be right.
    Usage(String),
    /// The API answered with an error.
    Problem(Box<Problem>),
    /// No answer came.
    Unreachable {
        /// What was asked, without credentials.
        url: String,
        /// Why, one line.
        reason: String,
    },
    /// A check ended badly; what is wrong has already been shown.
    Failed(String),
    /// Whoever read our output has closed it (`signpost … | head`): no failure.
    OutputClosed,
    /// Anything else.
    Other(anyhow::Error),
}

impl CliError {
    /// The exit code that this gives.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Problem(problem) => match problem.status {
                401 | 403 => Exit::Refused,
                404 | 410 => Exit::NotFound,
                429 | 502..=504 => Exit::Unavailable,
                400..=499 => Exit::Invalid,
                _ => Exit::Failure,
            },
            Self::Unreachable { .. } => Exit::Unavailable,
            Self::Failed(_) | Self::Other(_) => Exit::Failure,
            Self::OutputClosed => Exit::Ok,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) => f.write_str(text),
            Self::Problem(problem) => problem.fmt(f),
            Self::Unreachable { url, reason } => write!(
                f,
                "no answer from {url}: {reason}\n  \
                 is signpost-ingest running there? `signpost doctor` looks; --server names another"
            ),
            Self::OutputClosed => f.write_str("the output was closed"),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for CliError {}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(other) => Self::Other(other),
        }
    }
}

/// A failed write to our own output; reading files goes through `anyhow` with its path.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Other(anyhow::Error::new(error).context("failed to write the output"))
        }
    }
}

/// A usage error.
pub fn usage<T>(text: impl Into<String>) -> Result<T> {
    Err(CliError::Usage(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16) -> CliError {
        CliError::Problem(Box::new(Problem::new(status, b"")))
    }

    #[test]
    fn each_status_has_its_exit_code() {
        let cases = [
            (400, Exit::Invalid),
            (401, Exit::Refused),
            (403, Exit::Refused),
            (404, Exit::NotFound),
            (409, Exit::Invalid),
            (413, Exit::Invalid),
            (422, Exit::Invalid),
            (429, Exit::Unavailable),
            (500, Exit::Failure),
            (503, Exit::Unavailable),
        ];
        for (status, exit) in cases {
            assert_eq!(problem(status).exit(), exit, "{status}");
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.exit(), Exit::Ok);
    }

    #[test]
    fn an_own_error_inside_anyhow_keeps_its_exit_code() {
        let error = anyhow::Error::new(CliError::Usage("no".to_owned()));
        assert_eq!(CliError::from(error).exit(), Exit::Usage);
    }
}
