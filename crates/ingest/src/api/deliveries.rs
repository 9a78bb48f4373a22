//! Deliveries: what became of an event at an endpoint.

pub mod get;
pub mod list;
pub mod model;
pub mod retry;
