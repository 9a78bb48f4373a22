//! Tests of the crate from outside: published vectors, golden requests, properties, and receivers
//! that others wrote.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

mod golden;
mod interop;
mod keys;
mod profiles;
mod properties;
mod requests;
mod support;
mod vectors;
mod verify;
