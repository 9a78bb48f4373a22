//! Ingest: accepts events over HTTP and publishes them to RabbitMQ; serves the API, its
//! documentation and the dashboard.
//!
//! How a request goes:
//!
//! 1. `serve` accepts the connection, within bounds; `router` finds the route.
//! 2. `door` finds out who is asking (`auth`) and compares it with the access that the table of
//!    routes (`api`) asks for. Repeated writes are answered here (`idempotency`).
//! 3. The handler reads the request (`http`), decides, and acts: one file each under `api`.
//! 4. Whatever goes wrong becomes an `error`, in one form.
//!
//! An event goes through `publish`: what is needed to check it is remembered (`cache`, `known`), so
//! publishing asks no database and goes on while the database is away.
//!
//! **Invariant:** a 2xx for an event means that a quorum queue has it. **Invariant:** a handler
//! knows no tenant but the one that the door has let through. **Invariant:** `data` is published
//! byte for byte as it came.

pub mod api;
pub mod app;
pub mod auth;
pub mod backlog;
pub mod bucket;
pub mod cache;
pub mod compose;
pub mod config;
pub mod door;
pub mod error;
pub mod http;
pub mod idempotency;
pub mod known;
pub mod metrics;
pub mod openapi;
pub mod publish;
pub mod resend;
pub mod route;
pub mod router;
pub mod serve;
pub mod test_send;
pub mod web;

pub use compose::{Error, Listeners, Running, run};
pub use config::{Args, Config, ConfigErrors};
pub use door::Repeats;
pub use route::Route;
