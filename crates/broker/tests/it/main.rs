//! This crate against a real RabbitMQ, each test in a vhost or on a broker of its own.
#![expect(
    clippy::unwrap_used,
    reason = "a test that fails there says so well enough"
)]

mod consuming;
mod poison;
mod publishing;
mod raw;
mod recovery;
mod rejected;
mod tiers;
mod topology;
mod world;
