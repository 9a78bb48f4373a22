//! The publisher against a real RabbitMQ.

#![expect(clippy::unwrap_used, reason = "the helpers of tests panic, too")]

mod outage;
mod permissions;
mod publishing;
mod world;
