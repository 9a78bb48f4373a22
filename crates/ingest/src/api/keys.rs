//! API keys: who may do what.

pub mod create;
pub mod delete;
pub mod list;
pub mod model;
pub mod revoke;
