//! What tests need from the outside world: a private PostgreSQL and RabbitMQ, a receiver that
//! answers by a script, a proxy that breaks connections, and patience with a deadline.
//!
//! Used from the `tests/` folders and by `./dev` (through the `signpost-testkit` program);
//! `signpost listen` shares [`Receiver`]. It never imports a crate above `domain`, so that every
//! other crate can use it in its tests.
//!
//! ```no_run
//! # async fn story() -> anyhow::Result<()> {
//! use std::time::Duration;
//! use signpost_testkit::{Receiver, Reply, database, vhost};
//!
//! let database = database().await?; // empty, this test's own, dropped at the end
//! let vhost = vhost().await?; // the same for RabbitMQ
//! let receiver = Receiver::start().await?;
//! receiver.replies([503, 200]);
//! // … start what is tested with database.url(), vhost.url() and receiver.url() …
//! let requests = receiver.wait_for(2, Duration::from_secs(5)).await;
//! assert_eq!(requests[0].body, requests[1].body);
//! # Ok(()) }
//! ```

mod child;
mod config;
mod fault_proxy;
mod instances;
mod ports;
mod postgres;
mod rabbitmq;
mod raw_receiver;
mod receiver;
mod scratch;
mod secret;
mod shared;
mod wait;

pub use fault_proxy::{FaultProxy, ProxyCounts};
pub use instances::{Instances, Which};
pub use ports::{free_port, free_ports};
pub use postgres::{Database, PostgresOptions, PrivatePostgres};
pub use rabbitmq::{PrivateRabbit, RabbitCluster, RabbitControl, Vhost};
pub use raw_receiver::RawReceiver;
pub use receiver::{Received, Receiver, ReceiverBuilder, Reply};
pub use scratch::scratch_dir;
pub use shared::{database, rabbit_control, vhost};
pub use wait::wait_until;
