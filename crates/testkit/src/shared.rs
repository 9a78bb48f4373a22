//! One PostgreSQL and one RabbitMQ for all tests of a process.
//!
//! `./dev test` starts them once for all test programs and names them in the environment. A test
//! program that is run by itself (`cargo test -p …`) starts its own on first use; they end with it.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow};

use crate::config::{DATABASE_URL, RABBITMQ_DIR, variable};
use crate::postgres::{Database, PostgresOptions, PrivatePostgres, create_database};
use crate::rabbitmq::{PrivateRabbit, RabbitControl, Vhost, create_vhost};
use crate::scratch::scratch_dir;

/// A new, empty database on the shared PostgreSQL (about 60 ms), dropped with its value.
///
/// # Errors
/// PostgreSQL is not installed, does not start or does not answer.
pub async fn database() -> Result<Database> {
    create_database(postgres_url().await?).await
}

/// A new, empty vhost on the shared RabbitMQ (about 20 ms), deleted with its value.
///
/// # Errors
/// RabbitMQ is not installed, does not start or does not answer.
pub async fn vhost() -> Result<Vhost> {
    create_vhost(rabbit_control().await?).await
}

/// What `rabbitmqctl` can do with the shared RabbitMQ.
///
/// # Errors
/// RabbitMQ is not installed or does not start.
pub async fn rabbit_control() -> Result<RabbitControl> {
    static SHARED: OnceLock<Result<PrivateRabbit, String>> = OnceLock::new();
    if let Some(dir) = variable(RABBITMQ_DIR) {
        return RabbitControl::read(Path::new(&dir))
            .with_context(|| format!("{RABBITMQ_DIR} names no running broker"));
    }
    let shared = tokio::task::spawn_blocking(|| {
        SHARED.get_or_init(|| {
            let dir = scratch_dir("shared-rabbitmq");
            dir.and_then(PrivateRabbit::start_blocking)
                .map_err(|error| format!("{error:#}"))
        })
    });
    let shared = shared.await?.as_ref().map_err(|error| anyhow!("{error}"))?;
    Ok(shared.control().clone())
}

async fn postgres_url() -> Result<String> {
    static SHARED: OnceLock<Result<PrivatePostgres, String>> = OnceLock::new();
    if let Some(url) = variable(DATABASE_URL) {
        return Ok(url);
    }
    let shared = tokio::task::spawn_blocking(|| {
        SHARED.get_or_init(|| {
            let start = |dir| {
                let options = PostgresOptions { is_durable: false };
                PrivatePostgres::start_blocking(dir, options)
            };
            scratch_dir("shared-postgres")
                .and_then(start)
                .map_err(|error| format!("{error:#}"))
        })
    });
    let shared = shared.await?.as_ref().map_err(|error| anyhow!("{error}"))?;
    Ok(shared.url())
}
