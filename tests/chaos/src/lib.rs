//! The soak test: a whole Signpost under load while its parts are killed, frozen and restarted by
//! a seeded schedule, and afterwards a check of everything that was seen.
//!
//! The ways of the publishers ([`load`]), the receiver and the database ([`database`]) each leave
//! a ledger ([`ledger`]); [`check`] compares them. A seed has the same events, the same answers of
//! the receiver and the same faults at the same times on every machine.
//!
//! [`wiped`] is another test: how soon everything is back after the broker has lost all it held.

mod check;
mod client;
mod database;
mod event;
mod faults;
mod ledger;
mod load;
mod millis;
mod process;
mod progress;
mod receiver;
mod report;
mod run;
mod schedule;
mod seeded;
mod wiped;
mod world;

pub use report::Report;
pub use run::{Plan, run};
pub use schedule::{Act, Fault, Target, schedule};
pub use wiped::{Restored, wiped};
