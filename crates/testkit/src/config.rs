//! The only file of the test kit that reads the environment.
//!
//! `./dev test` sets the variables below once, so that all test programs share one PostgreSQL and
//! one RabbitMQ instead of starting their own.

use std::path::{Path, PathBuf};

/// The PostgreSQL to create test databases in: a role that may create databases.
pub(crate) const DATABASE_URL: &str = "SIGNPOST_TEST_DATABASE_URL";
/// The folder of that RabbitMQ, if the test kit started it: it holds what `rabbitmqctl` needs.
pub(crate) const RABBITMQ_DIR: &str = "SIGNPOST_TEST_RABBITMQ_DIR";

/// A variable's value; an empty one counts as unset.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the config.rs of the test kit"
    )]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Cargo's `target` folder, where test data lives.
pub(crate) fn target_dir() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    )
}
