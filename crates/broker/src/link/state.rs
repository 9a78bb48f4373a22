//! What a link is for, how it is, and why it gives no channel.

use tokio::time::Instant;

use crate::declare::TopologyError;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Publish,
    Consume,
    Manage,
}

impl Role {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
            Self::Manage => "manage",
        }
    }
}

/// How a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// No connection, since then; with the reason.
    Down { since: Instant, reason: String },
    /// Connected, and the topology stands.
    Up,
    /// Connected, but the broker takes no messages for the moment.
    Blocked { reason: String },
}

/// Why there is no channel.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the broker cannot be reached: {0}")]
    Connect(String),
    #[error("the topology does not stand")]
    Topology(#[source] TopologyError),
    #[error("no channel could be opened: {0}")]
    Channel(String),
}

/// Keeps the time since when it is down.
pub(super) fn mark_down(state: &mut LinkState, reason: &str) {
    let since = match state {
        LinkState::Down { since, .. } => *since,
        LinkState::Up | LinkState::Blocked { .. } => Instant::now(),
    };
    *state = LinkState::Down {
        since,
        reason: reason.to_owned(),
    };
}
