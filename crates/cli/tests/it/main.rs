//! The command line from outside: arguments in; output, requests and exit code out.

#![expect(clippy::unwrap_used, reason = "the helpers of tests panic, too")]

mod commands;
mod doctor;
mod failures;
mod help;
mod listen;
mod support;
mod tables;
mod verify;
