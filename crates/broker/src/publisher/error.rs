//! Why a publish was not confirmed.

/// Why a message may not be in the broker. It may be there all the same after
/// [`PublishError::TimedOut`] and [`PublishError::Unavailable`]: the message id makes a repeat
/// harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no connection, or it broke before the confirm.
    #[error("the broker is not reachable")]
    Unavailable,
    /// The broker is short of memory or disk and takes no messages.
    #[error("the broker takes no messages for lack of memory or disk")]
    Blocked,
    /// The confirm did not come in time.
    #[error("the broker did not confirm in time")]
    TimedOut,
    /// The broker refused: the queue is full.
    #[error("the broker refused the message: the queue is full")]
    Nacked,
    /// No queue took it: a queue is missing. It is declared again.
    #[error("no queue took the message")]
    Unroutable,
    /// Too many messages wait for a confirm, and none was confirmed in time.
    #[error("too many messages wait for a confirm")]
    TooMany,
    /// The message can never be published.
    #[error("the message cannot be published: {0}")]
    Invalid(&'static str),
}

impl PublishError {
    /// Whether trying again later may help.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Unavailable
            | Self::Blocked
            | Self::TimedOut
            | Self::Nacked
            | Self::Unroutable
            | Self::TooMany => true,
            Self::Invalid(_) => false,
        }
    }
}
