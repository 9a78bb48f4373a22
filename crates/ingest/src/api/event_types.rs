//! Event types: the catalogue of a tenant.

pub mod delete;
pub mod get;
pub mod import;
pub mod list;
pub mod model;
pub mod put;
