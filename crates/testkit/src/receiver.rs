//! A customer's server that answers by a script and remembers every request.
//!
//! Used by tests, by the benchmark and by `signpost listen`. It never judges a request: verifying
//! signatures is for whoever reads what it recorded.

mod record;
mod reply;
mod script;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::ports::free_port;
use record::Log;
pub use record::Received;
pub(crate) use reply::Ending;
pub use reply::Reply;
use script::Script;

/// A receiver on a port of its own. It stops when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    log: Arc<Log>,
    script: Arc<Mutex<Script>>,
    running: Mutex<Option<CancellationToken>>,
}

/// What a receiver is to be; [`Receiver::start`] is the usual one.
#[derive(Debug, Default)]
pub struct ReceiverBuilder {
    address: Option<SocketAddr>,
    keep: Option<usize>,
}

impl ReceiverBuilder {
    /// Listens on this address instead of a free port of 127.0.0.1.
    #[must_use]
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Remembers only the latest `count` requests (by default all); 0 only counts them.
    #[must_use]
    pub fn keep(mut self, count: usize) -> Self {
        self.keep = Some(count);
        self
    }

    /// Starts it; it answers 200 until told otherwise.
    ///
    /// # Errors
    /// The address is in use.
    pub async fn start(self) -> Result<Receiver> {
        let listener = match self.address {
            Some(address) => TcpListener::bind(address)
                .await
                .with_context(|| format!("failed to listen on {address}"))?,
            None => listen_on_free_port().await?,
        };
        let receiver = Receiver {
            address: listener.local_addr()?,
            log: Arc::new(Log::new(self.keep.unwrap_or(usize::MAX))),
            script: Arc::default(),
            running: Mutex::new(None),
        };
        receiver.serve(listener);
        Ok(receiver)
    }
}

impl Receiver {
    /// A receiver on a free port of 127.0.0.1 that answers 200 until told otherwise.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// For another address, or a shorter memory.
    pub fn builder() -> ReceiverBuilder {
        ReceiverBuilder::default()
    }

    /// Its root: `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> String {
        self.url_of("/")
    }

    /// The URL of a path, which begins with a slash.
    pub fn url_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests to any path in this order; the last answer stays. A number is a status.
    pub fn replies<R: Into<Reply>>(&self, replies: impl IntoIterator<Item = R>) {
        self.script()
            .set(None, replies.into_iter().map(Into::into).collect());
    }

    /// As [`replies`](Self::replies), for one path, counted by itself.
    pub fn replies_on<R: Into<Reply>>(&self, path: &str, replies: impl IntoIterator<Item = R>) {
        self.script()
            .set(Some(path), replies.into_iter().map(Into::into).collect());
    }

    /// Asks `answer` for the reply to each request, in place of every script. It is called once
    /// per request, in the order of arrival, and also serves to watch the requests as they come.
    pub fn answer_with(&self, answer: impl FnMut(&Received) -> Reply + Send + 'static) {
        self.script().answer_with(Box::new(answer));
    }

    /// All remembered requests, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.log.all()
    }

    /// The remembered requests to one path, oldest first.
    pub fn received_on(&self, path: &str) -> Vec<Received> {
        self.log
            .all()
            .into_iter()
            .filter(|request| request.path == path)
            .collect()
    }

    /// How many requests have come since the start, remembered or not.
    pub fn count(&self) -> u64 {
        self.log.count()
    }

    /// Forgets the requests so far; the count goes on.
    pub fn forget(&self) {
        self.log.forget();
    }

    /// Waits until at least `count` requests are remembered and gives them all.
    ///
    /// # Panics
    /// They have not come within `patience`; the message lists those that have.
    pub async fn wait_for(&self, count: usize, patience: Duration) -> Vec<Received> {
        self.log.wait_for(count, patience, |_| true).await
    }

    /// As [`wait_for`](Self::wait_for), for the requests to one path.
    ///
    /// # Panics
    /// As [`wait_for`](Self::wait_for).
    pub async fn wait_for_on(&self, path: &str, count: usize, patience: Duration) -> Vec<Received> {
        self.log
            .wait_for(count, patience, |request| request.path == path)
            .await
    }

    /// Stops listening and cuts all connections; what it remembers stays.
    pub fn stop(&self) {
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(token) = running {
            token.cancel();
        }
    }

    /// Listens again on the same port after [`stop`](Self::stop).
    ///
    /// # Errors
    /// The port is in use by somebody else by now.
    pub async fn start_again(&self) -> Result<()> {
        self.stop();
        let listener = listen_again(self.address).await?;
        self.serve(listener);
        Ok(())
    }

    fn serve(&self, listener: TcpListener) {
        let token = CancellationToken::new();
        let (log, script) = (Arc::clone(&self.log), Arc::clone(&self.script));
        let service = server::Service { log, script };
        tokio::spawn(
            token
                .clone()
                .run_until_cancelled_owned(server::accept(listener, service)),
        );
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens on a free port of 127.0.0.1 that is not used for outgoing connections.
pub(crate) async fn listen_on_free_port() -> Result<TcpListener> {
    let mut tries = 100;
    loop {
        // Somebody else may take the port between the choice and the call.
        match TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()?)).await {
            Err(_) if tries > 0 => tries -= 1,
            listener => return Ok(listener?),
        }
    }
}

/// Listens on a port that was ours a moment ago: the old listener may still be closing.
pub(crate) async fn listen_again(address: SocketAddr) -> Result<TcpListener> {
    let mut tries = 100;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if tries == 0 => {
                return Err(error).with_context(|| format!("failed to listen on {address} again"));
            }
            Err(_) => tries -= 1,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
