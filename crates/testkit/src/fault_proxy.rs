//! A TCP proxy that can be told to misbehave: stands before PostgreSQL, RabbitMQ or a receiver.

mod pump;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::receiver::{listen_again, listen_on_free_port};

/// Forwards connections to another address. It stops, and cuts its connections, when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    upstream: watch::Sender<SocketAddr>,
    traffic: watch::Sender<Traffic>,
    breaks: broadcast::Sender<Break>,
    counters: Arc<Counters>,
    running: Mutex<Option<CancellationToken>>,
}

/// What has passed through a [`FaultProxy`] so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyCounts {
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Bytes forwarded to the server.
    pub to_server: u64,
    /// Bytes forwarded to clients.
    pub to_client: u64,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    open: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// How bytes travel at the moment.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    latency: Duration,
    is_blackholed: bool,
}

/// How existing connections end.
#[derive(Debug, Clone, Copy)]
enum Break {
    Close,
    Reset,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `upstream`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = listen_on_free_port().await?;
        let proxy = Self {
            address: listener.local_addr()?,
            upstream: watch::Sender::new(upstream),
            traffic: watch::Sender::default(),
            breaks: broadcast::Sender::new(16),
            counters: Arc::default(),
            running: Mutex::new(None),
        };
        proxy.serve(listener);
        Ok(proxy)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url` with this proxy's address in place of its host and port.
    ///
    /// # Errors
    /// It is not a URL with a host.
    pub fn url_through(&self, url: &str) -> Result<String> {
        let mut url = url::Url::parse(url)?;
        url.set_ip_host(self.address.ip())
            .map_err(|()| anyhow::anyhow!("{url} has no host"))?;
        url.set_port(Some(self.address.port()))
            .map_err(|()| anyhow::anyhow!("{url} has no port"))?;
        Ok(url.into())
    }

    /// Refuses new connections and closes the existing ones, as a stopped server does.
    pub fn down(&self) {
        if let Some(token) = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            token.cancel();
        }
        drop(self.breaks.send(Break::Close));
    }

    /// Accepts connections again, on the same port.
    ///
    /// # Errors
    /// The port is in use by somebody else by now.
    pub async fn up(&self) -> Result<()> {
        self.down();
        let listener = listen_again(self.address).await?;
        self.serve(listener);
        Ok(())
    }

    /// Leads new connections to another server, as a load balancer does when one has gone.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.upstream.send_replace(upstream);
    }

    /// Delays every byte, in both directions, by this much; zero ends it.
    pub fn set_latency(&self, latency: Duration) {
        self.traffic
            .send_modify(|traffic| traffic.latency = latency);
    }

    /// While on, connections stay open and are still accepted, but no byte arrives anywhere, as
    /// when a firewall drops every packet. What was sent meanwhile arrives when it is off again.
    pub fn set_blackhole(&self, is_on: bool) {
        self.traffic
            .send_modify(|traffic| traffic.is_blackholed = is_on);
    }

    /// Ends all existing connections with a TCP reset; new ones are accepted.
    pub fn reset_connections(&self) {
        drop(self.breaks.send(Break::Reset));
    }

    /// What has passed so far.
    pub fn counts(&self) -> ProxyCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProxyCounts {
            accepted: read(&self.counters.accepted),
            open: read(&self.counters.open),
            to_server: read(&self.counters.to_server),
            to_client: read(&self.counters.to_client),
        }
    }

    fn serve(&self, listener: TcpListener) {
        let token = CancellationToken::new();
        let (upstream, counters) = (self.upstream.subscribe(), Arc::clone(&self.counters));
        let (traffic, breaks) = (self.traffic.subscribe(), self.breaks.clone());
        let accept = async move {
            let mut tasks = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while tasks.try_join_next().is_some() {}
                counters.accepted.fetch_add(1, Ordering::Relaxed);
                let (traffic, breaks) = (traffic.clone(), breaks.subscribe());
                let upstream = *upstream.borrow();
                tasks.spawn(forward(
                    client,
                    upstream,
                    traffic,
                    breaks,
                    Arc::clone(&counters),
                ));
            }
        };
        tokio::spawn(token.clone().run_until_cancelled_owned(accept));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.down();
    }
}

/// Counts a connection as open until it ends, also when its task is cut off.
struct Open(Arc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn forward(
    mut client: TcpStream,
    upstream: SocketAddr,
    traffic: watch::Receiver<Traffic>,
    mut breaks: broadcast::Receiver<Break>,
    counters: Arc<Counters>,
) {
    counters.open.fetch_add(1, Ordering::Relaxed);
    let _open = Open(Arc::clone(&counters));
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return; // The client sees its connection closed.
    };
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pump::pump(from_client, to_server, traffic.clone(), &counters.to_server);
        let down = pump::pump(from_server, to_client, traffic, &counters.to_client);
        // Cancel-safe: when a break comes, both directions are given up for good.
        tokio::select! {
            ((), ()) = async { tokio::join!(up, down) } => Break::Close,
            end = breaks.recv() => end.unwrap_or(Break::Close),
        }
    };
    if matches!(end, Break::Reset) {
        drop(client.set_zero_linger());
        drop(server.set_zero_linger());
    }
}
