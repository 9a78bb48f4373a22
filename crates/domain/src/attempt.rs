//! What one attempt gave, and why it was made.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in the API, the database and the metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value that `text` names.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use closed_set;

closed_set! {
    /// What an attempt gave.
    Outcome {
        /// The receiver answered as the profile wants.
        Succeeded = "succeeded",
        /// The receiver answered with another status.
        HttpError = "http_error",
        /// The deadline passed before the answer was there.
        Timeout = "timeout",
        /// No connection, or it broke before an answer.
        Unreachable = "unreachable",
        /// The TLS handshake failed.
        TlsError = "tls_error",
        /// The address is one that must not be reached.
        Blocked = "blocked",
        /// The answer was not HTTP, or broke a limit.
        ProtocolError = "protocol_error",
    }
}

closed_set! {
    /// Why an attempt was made.
    Trigger {
        /// The event arrived.
        Event = "event",
        /// An earlier attempt failed.
        Retry = "retry",
        /// A person asked for this delivery again.
        Manual = "manual",
        /// A person asked for this event again.
        Replay = "replay",
        /// A test send.
        Test = "test",
    }
}

/// What [`crate::decide()`] needs to know of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptResult {
    /// What it gave; `Succeeded` and `HttpError` both come with a status code, and which of the
    /// two it is, is decided by the policy.
    pub outcome: Outcome,
    /// The receiver's status code, where there was an answer.
    pub status_code: Option<u16>,
    /// The receiver's `Retry-After`, as a wait from `finished_at` (RFC 9110, section 10.2.3).
    pub retry_after: Option<Duration>,
    /// When the answer (or the failure) was there.
    pub finished_at: DateTime<Utc>,
}
