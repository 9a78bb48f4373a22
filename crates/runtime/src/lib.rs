//! What both services need to be good processes: a lifecycle that starts and stops every task,
//! logs, and a listener for metrics and health.
//!
//! Imports nothing of the workspace and knows nothing of webhooks.

pub mod admin;
pub mod crash_point;
pub mod error_chain;
pub mod lifecycle;
pub mod readiness;
pub mod sabotage;
pub mod secret;
pub mod telemetry;

pub use crash_point::{crash_point, crash_point_at};
pub use error_chain::error_chain;
pub use lifecycle::{Lifecycle, Stopped};
pub use readiness::Readiness;
pub use sabotage::sabotaged;
