//! One answer of a scripted receiver.

use std::time::Duration;

use bytes::Bytes;

/// What the receiver does with a request.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) delay: Duration,
    pub(crate) ending: Ending,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Answer,
    Hang,
    Close,
}

impl Reply {
    /// Answers with this status and an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            ending: Ending::Answer,
        }
    }

    /// Never answers and keeps the connection open.
    pub fn hang() -> Self {
        Self {
            ending: Ending::Hang,
            ..Self::status(200)
        }
    }

    /// Reads the request and closes the connection without an answer.
    pub fn close() -> Self {
        Self {
            ending: Ending::Close,
            ..Self::status(200)
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits this long before it answers (or closes).
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl From<u16> for Reply {
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}
