//! A delivery's status.

use serde::{Deserialize, Serialize};

use crate::attempt::closed_set;

closed_set! {
    /// Where a delivery stands. `Succeeded`, `Failed` and `Discarded` are ends.
    DeliveryStatus {
        /// An attempt is due, now or later.
        Pending = "pending",
        /// The receiver took it.
        Succeeded = "succeeded",
        /// Retries are used up, or the answer is one that is not retried.
        Failed = "failed",
        /// The endpoint is paused; sent when it becomes active again.
        Held = "held",
        /// The endpoint is disabled or deleted: nothing is sent.
        Discarded = "discarded",
    }
}

impl DeliveryStatus {
    /// Whether nothing follows by itself.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Held => false,
            Self::Succeeded | Self::Failed | Self::Discarded => true,
        }
    }
}
