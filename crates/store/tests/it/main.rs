//! The ledger against a real PostgreSQL: a database per test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there")]
#![expect(
    clippy::cloned_ref_to_slice_refs,
    reason = "a batch of one is written as a batch"
)]

mod again;
mod configuration;
mod failures;
mod fanout;
mod idempotency;
mod isolation;
mod listener;
mod plans;
mod probe;
mod reading;
mod reconcile;
mod retention;
mod secrets;
mod settle;
mod support;
mod suspects;
