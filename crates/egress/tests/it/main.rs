//! The egress against real sockets: receivers that answer well, badly or not at all, a scripted
//! name server, certificates with faults, and a network of its own full of canaries.

#![expect(clippy::unwrap_used, reason = "the helpers of tests panic, too")]

mod kit;
mod name_server;

mod answers;
mod dns;
mod hostile;
mod many;
mod namespace;
mod request;
mod reuse;
mod tls;
