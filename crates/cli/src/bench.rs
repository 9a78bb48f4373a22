//! `signpost bench`.
pub mod figure;
pub mod generator;
pub mod latency;
pub mod processes;
pub mod receiver;
