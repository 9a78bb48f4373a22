//! The API as its callers see it, on a real PostgreSQL and a real RabbitMQ; the service runs in
//! the test's process, with the wiring of `main`.

#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::cloned_ref_to_slice_refs,
    reason = "a test stops at what should not happen, and reads better with plain names and texts"
)]

mod bad_input;
mod bodies;
mod client;
mod deliveries;
mod deliveries_of_others;
mod endpoints;
mod events;
mod idempotency;
mod keys;
mod leaks;
mod openapi;
mod outages;
mod pages;
mod profiles;
mod rejected;
mod secrets;
mod service;
mod start;
mod tenants;
