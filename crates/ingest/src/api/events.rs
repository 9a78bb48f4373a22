//! Events: reported, listed, sent again.

pub mod batch;
pub mod create;
pub mod deliveries;
pub mod get;
pub mod list;
pub mod model;
pub mod replay;
