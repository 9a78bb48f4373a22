//! The ledger against a real PostgreSQL: a database per test.

mod again;
mod configuration;
mod failures;
mod fanout;
mod idempotency;
mod isolation;
mod listener;
mod reading;
mod reconcile;
mod retention;
mod secrets;
mod settle;
mod support;
