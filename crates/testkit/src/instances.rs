//! A PostgreSQL and a RabbitMQ together, as `./dev` starts them through `signpost-testkit`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::config::{DATABASE_URL, RABBITMQ_DIR};
use crate::postgres::{PostgresOptions, PrivatePostgres};
use crate::rabbitmq::PrivateRabbit;

/// Which servers to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// PostgreSQL and RabbitMQ.
    Both,
    /// PostgreSQL alone.
    Postgres,
    /// RabbitMQ alone.
    Rabbit,
}

/// Private servers with their data in one folder. They end with this value.
#[derive(Debug)]
pub struct Instances {
    dir: PathBuf,
    postgres: Option<PrivatePostgres>,
    rabbit: Option<PrivateRabbit>,
}

impl Instances {
    /// Starts them side by side, in `dir/postgres` and `dir/rabbitmq`.
    ///
    /// # Errors
    /// One is not installed or does not start.
    pub async fn start(
        dir: impl Into<PathBuf>,
        which: Which,
        options: PostgresOptions,
    ) -> Result<Self> {
        let dir: PathBuf = dir.into();
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("failed to create {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let postgres = async {
            let wanted = which != Which::Rabbit;
            let started =
                wanted.then(|| PrivatePostgres::start_with(dir.join("postgres"), options));
            futures::future::OptionFuture::from(started)
                .await
                .transpose()
        };
        let rabbit = async {
            let wanted = which != Which::Postgres;
            let started = wanted.then(|| PrivateRabbit::start(dir.join("rabbitmq")));
            futures::future::OptionFuture::from(started)
                .await
                .transpose()
        };
        let (postgres, rabbit) = tokio::try_join!(postgres, rabbit)?;
        Ok(Self {
            dir,
            postgres,
            rabbit,
        })
    }

    /// The variables that name them, as `NAME=value` lines: the services' own, and those by which
    /// tests share them.
    pub fn environment(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(postgres) = &self.postgres {
            lines.push(format!("SIGNPOST_DATABASE_URL={}", postgres.url()));
            lines.push(format!("{DATABASE_URL}={}", postgres.url()));
        }
        if let Some(rabbit) = &self.rabbit {
            lines.push(format!("SIGNPOST_AMQP_URL={}", rabbit.url()));
            lines.push(format!("SIGNPOST_TEST_AMQP_URL={}", rabbit.url()));
            lines.push(format!(
                "{RABBITMQ_DIR}={}",
                self.dir.join("rabbitmq").display()
            ));
        }
        lines
    }

    /// Stops them properly, keeping their data.
    ///
    /// # Errors
    /// The operating system refuses.
    pub async fn stop(&self) -> Result<()> {
        if let Some(rabbit) = &self.rabbit {
            rabbit.stop().await?;
        }
        if let Some(postgres) = &self.postgres {
            postgres.stop().await?;
        }
        Ok(())
    }
}
