//! Tenants: who owns everything below.

pub mod delete;
pub mod get;
pub mod list;
pub mod model;
pub mod put;
