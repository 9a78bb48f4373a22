//! Three brokers in one cluster on this machine.

use std::path::PathBuf;
use std::process::Child;

use anyhow::Result;

use super::{Membership, PrivateRabbit, start_epmd};
use crate::child;
use crate::ports::free_port;
use crate::secret::random_hex;

/// A RabbitMQ cluster of three: quorum queues have a replica on each, and survive the loss of one.
#[derive(Debug)]
pub struct RabbitCluster {
    nodes: [PrivateRabbit; 3],
    _epmd: NameServer,
}

/// Erlang's name server, which they share.
#[derive(Debug)]
struct NameServer(Child);

impl Drop for NameServer {
    fn drop(&mut self) {
        drop(child::kill(&mut self.0));
    }
}

impl RabbitCluster {
    /// Starts the brokers with their data in `dir` and returns once they are one cluster.
    ///
    /// # Errors
    /// RabbitMQ is not installed or does not start; the error holds the end of its log.
    pub async fn start(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir: PathBuf = dir.into();
        let cluster = tokio::task::spawn_blocking(move || Self::start_blocking(&dir)).await??;
        for node in &cluster.nodes {
            let running = "length(rabbit_nodes:all_running()).";
            let count = node.control().eval(running).await?;
            anyhow::ensure!(count == "3", "the cluster has {count} brokers");
        }
        Ok(cluster)
    }

    fn start_blocking(dir: &std::path::Path) -> Result<Self> {
        let epmd_port = free_port()?;
        let epmd = NameServer(start_epmd(epmd_port)?);
        let (cookie, password) = (random_hex()?, random_hex()?);
        let name = |number: usize| format!("signpost-{number}@localhost");
        let start = |number: usize| {
            let membership = Membership {
                name: name(number),
                joins: name(1),
                epmd_port,
                cookie: cookie.clone(),
                password: password.clone(),
            };
            PrivateRabbit::start_as(&dir.join(number.to_string()), Some(&membership))
        };
        // One after the other: two that join at once may wait for each other for minutes.
        Ok(Self {
            nodes: [start(1)?, start(2)?, start(3)?],
            _epmd: epmd,
        })
    }

    /// The brokers, to be asked, killed and started again one by one.
    pub fn nodes(&self) -> &[PrivateRabbit; 3] {
        &self.nodes
    }
}
