//! What the caller hands in and what it gets back.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};

use crate::{Failure, Target};

/// One POST to a customer's URL.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where to; prepared once per endpoint, cheap to clone.
    pub target: Target,
    /// The headers of the profile and the tenant. `Host`, `Content-Length` and `Accept-Encoding`
    /// are set here, and what would change the framing is dropped.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, sent byte for byte.
    pub body: Bytes,
    /// From the name look-up to the last byte of the answer.
    pub timeout: Duration,
    /// The current time, which a date in `Retry-After` is compared with.
    pub now: DateTime<Utc>,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The receiver's answer, or why there is none.
    pub answer: Answer,
    /// Whether there was a connection, so that the request may have reached the receiver.
    pub connected: bool,
    /// Whether it went over a connection that had been used before.
    pub reused: bool,
    /// How long it took, name look-up included.
    pub duration: Duration,
}

/// The receiver's answer, or why there is none.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An answer with a status; the profile says whether it is a success.
    Response(Response),
    /// No usable answer.
    Failure(Failure),
}

/// A receiver's answer, within bounds.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status as the receiver sent it, 200 to 999.
    pub status: u16,
    /// Names and values in the order received; cookies and credentials are blotted out. At most
    /// 16 KiB.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The first 16 KiB of the body, as sent: nothing is decompressed.
    pub body: Bytes,
    /// The receiver sent more than is kept in `body`.
    pub body_truncated: bool,
    /// The connection broke before the body was complete.
    pub body_incomplete: bool,
    /// Both `Content-Length` and `Transfer-Encoding` were sent (RFC 9112, section 6.3): a sign of
    /// request smuggling, so the connection was closed.
    pub ambiguous_length: bool,
    /// The receiver's `Retry-After` as a wait from the answer, at most 24 h.
    pub retry_after: Option<Duration>,
}

impl Sent {
    /// The answer for a request that was not made, because its URL is refused.
    pub fn refused(failure: impl Into<Failure>) -> Self {
        Self {
            answer: Answer::Failure(failure.into()),
            connected: false,
            reused: false,
            duration: Duration::ZERO,
        }
    }
}
