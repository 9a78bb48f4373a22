//! End to end tests: the whole of Signpost on real RabbitMQ, PostgreSQL and sockets, and the rules
//! that the repository keeps.

#![expect(clippy::unwrap_used, reason = "a test stops at what should not happen")]

mod amqp;
mod catalogs;
// Only debug builds have crash points.
#[cfg(debug_assertions)]
mod crash_points;
mod delivery;
mod deploy;
mod examples;
mod faults;
mod fuzz;
mod operators;
#[cfg(debug_assertions)]
mod poison;
mod probe;
mod references;
mod retries;
mod sabotages;
mod schemathesis;
mod status;
mod tidy;
mod world;
