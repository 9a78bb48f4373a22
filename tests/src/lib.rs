//! What the end to end tests share with programs beside them.

pub mod fuzz;
