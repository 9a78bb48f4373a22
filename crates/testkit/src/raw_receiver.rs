//! A receiver below HTTP, for answers that no server library would write.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use crate::receiver::listen_on_free_port;

/// Hands each accepted connection to a function. It stops, and cuts its connections, when dropped.
#[derive(Debug)]
pub struct RawReceiver {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    _running: DropGuard,
}

impl RawReceiver {
    /// Listens on a free port of 127.0.0.1; `handle` gets each connection and its number from 1.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start<F, Done>(handle: F) -> Result<Self>
    where
        F: Fn(TcpStream, u64) -> Done + Send + 'static,
        Done: Future<Output = ()> + Send + 'static,
    {
        let listener = listen_on_free_port().await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&connections);
        let token = CancellationToken::new();
        let accept = async move {
            let mut tasks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while tasks.try_join_next().is_some() {}
                let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
                tasks.spawn(handle(stream, number));
            }
        };
        tokio::spawn(token.clone().run_until_cancelled_owned(accept));
        Ok(Self {
            address,
            connections,
            _running: token.drop_guard(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its root: `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many connections have been accepted.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}
