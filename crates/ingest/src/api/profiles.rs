//! Wire profiles: what requests look like.

pub mod delete;
pub mod get;
pub mod list;
pub mod load;
pub mod model;
pub mod put;
