//! The command line from outside: arguments in; output, requests and exit code out.

mod commands;
mod failures;
mod help;
mod listen;
mod support;
mod tables;
mod verify;
