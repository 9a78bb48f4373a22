//! Messages that could not be read, for whoever runs Signpost.

pub mod delete;
pub mod get;
pub mod list;
pub mod model;
pub mod requeue;
