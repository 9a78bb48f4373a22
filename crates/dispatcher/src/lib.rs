//! The dispatcher: consumes events, fans them out to subscribed endpoints, attempts, retries.
//!
//! How the parts stand to each other:
//!
//! * [`fanout`] takes events from the queue, writes them and their deliveries into the ledger, and
//!   sets each delivery off. It does not attempt anything itself.
//! * [`deliveries`] takes retries and put-off deliveries from the queue.
//! * [`claims`] makes sure that of several messages for one attempt one leads to a request.
//! * Both pass a delivery through its endpoint's [`gate`], which says: now, in a moment, or later.
//! * [`attempt`] makes one request and judges the answer.
//! * [`recorder`] writes what attempts gave, many at once; then it publishes the retries; then it
//!   acks. Nobody else acks a delivery.
//! * [`reconciler`] brings back what the broker has lost.
//! * [`probe`] shows by a message of our own whether deliveries get through.
//! * [`health`] notes which endpoints fail, and pauses those that have done so for days;
//!   `announce` tells tenants of such things, as events.
//! * [`housekeeping`] forgets what is old, and tenants that were erased.
//! * [`directory`] is what all of them know about tenants and endpoints.
//!
//! Services and tests start it with [`run()`]; `main.rs` only reads the configuration.

mod announce;
pub mod attempt;
pub mod claims;
pub mod compose;
pub mod config;
pub mod context;
pub mod deliveries;
pub mod directory;
mod dispatch;
pub mod fanout;
pub mod gate;
pub mod health;
pub mod housekeeping;
mod ledger;
pub mod metrics;
pub mod probe;
pub mod reconciler;
pub mod recorder;
mod reject;
mod ticket;

pub use compose::{Error, run};
pub use config::{Args, Config};
