//! Endpoints: where events go.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod matching;
pub mod model;
pub mod preview;
pub mod recover;
pub mod settings;
pub mod test;
pub mod update;
