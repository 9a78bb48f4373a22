//! The words and rules of webhook delivery.
//!
//! The cast, in the order a fact travels through it:
//!
//! * A **tenant** owns everything below it.
//! * An **event** is an immutable fact that a publisher reported.
//! * An **endpoint** is a tenant's URL with the event types it wants ([`Pattern`]), and perhaps
//!   conditions on the content ([`Filter`]).
//! * A **delivery** is the duty to bring one event to one endpoint. It has a status.
//! * An **attempt** is one HTTP request for a delivery, numbered from 1, and gives an [`Outcome`].
//! * [`decide()`] says what follows from an attempt; a [`Tier`] is the delay queue that a retry
//!   waits in; a [`Breaker`] gives a failing endpoint a rest.
//!
//! Everything here is pure: no I/O, no clock, no randomness of its own. Time, random numbers and
//! ids come in as parameters. Nothing here may import another crate of the workspace.

pub mod attempt;
pub mod breaker;
pub mod clock;
pub mod decide;
pub mod delivery;
pub mod duration;
pub mod endpoint;
pub mod event;
pub mod event_type;
pub mod filter;
pub mod headers;
pub mod id;
pub mod operator_event;
pub mod pattern;
pub mod policy;
pub mod retry;
pub mod schema;
pub mod secret;
pub mod tier;

pub use attempt::{AttemptResult, Outcome, Trigger};
pub use breaker::{Admission, Breaker, BreakerConfig};
pub use clock::{Clock, SystemClock};
pub use decide::{NextStep, decide};
pub use delivery::DeliveryStatus;
pub use duration::{format_duration, parse_duration};
pub use endpoint::EndpointStatus;
pub use event::Event;
pub use event_type::EventType;
pub use filter::Filter;
pub use id::{DeliveryId, EndpointId, EventId, IdError, KeyId, TenantId};
pub use operator_event::OperatorEvent;
pub use pattern::Pattern;
pub use policy::{DeliveryPolicy, RetryClass, StatusRange};
pub use retry::{RetryPolicy, RetrySchedule};
pub use schema::Schema;
pub use tier::{Tier, Tiers};

/// One thing that is wrong with an input: where (a JSON pointer), and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// JSON pointer (RFC 6901) to the offending part; empty for the whole document.
    pub pointer: String,
    /// What is wrong and what would be right, for a person.
    pub detail: String,
}

impl Problem {
    /// A problem at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}
