//! A private RabbitMQ from the system's packages, and a vhost for each test.
//!
//! The server's own launcher is run as the current user, with every path, port and name of its
//! own, so that any number of them live beside each other and beside the system's service.

mod cluster;
mod control;
mod node;
mod vhost;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::child;
pub use cluster::RabbitCluster;
pub use control::RabbitControl;
use node::{Membership, Node};
pub use vhost::Vhost;
pub(crate) use vhost::create_vhost;

/// A RabbitMQ server of our own on a free port of 127.0.0.1. It is killed when this value is
/// dropped and when this process ends, however it ends.
#[derive(Debug)]
pub struct PrivateRabbit {
    server: Arc<Mutex<Server>>,
    control: RabbitControl,
}

impl PrivateRabbit {
    /// Starts a broker with its data in `dir`. Data that `dir` already holds is used again.
    ///
    /// # Errors
    /// RabbitMQ is not installed or does not start; the error holds the end of its log.
    pub async fn start(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        tokio::task::spawn_blocking(move || Self::start_blocking(dir)).await?
    }

    pub(crate) fn start_blocking(dir: PathBuf) -> Result<Self> {
        Self::start_as(&dir, None)
    }

    /// A broker that stands alone, or a member of a cluster, whose name server runs.
    fn start_as(dir: &Path, membership: Option<&Membership>) -> Result<Self> {
        let mut tries = 3;
        loop {
            let node = Node::create(dir.to_owned(), membership)?;
            let control = node.control();
            let mut server = Server {
                node,
                has_own_epmd: membership.is_none(),
                epmd: None,
                child: None,
            };
            match server.run() {
                Ok(()) => {
                    return Ok(Self {
                        server: Arc::new(Mutex::new(server)),
                        control,
                    });
                }
                // Somebody else took a port between the choice and the start.
                Err(error) if tries > 1 && format!("{error:#}").contains("eaddrinuse") => {
                    tries -= 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The vhost `/`, as a user who may do everything.
    pub fn url(&self) -> String {
        self.control.url("/")
    }

    /// The broker's AMQP port on 127.0.0.1; it stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.control.amqp_port
    }

    /// The broker's process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        lock(&self.server).child.as_ref().map(Child::id)
    }

    /// What `rabbitmqctl` can do with this broker.
    pub fn control(&self) -> &RabbitControl {
        &self.control
    }

    /// A new, empty vhost.
    ///
    /// # Errors
    /// The broker is down.
    pub async fn vhost(&self) -> Result<Vhost> {
        create_vhost(self.control.clone()).await
    }

    /// Runs `rabbitmqctl` (about 0.6 s) and gives its output.
    ///
    /// # Errors
    /// As [`RabbitControl::rabbitmqctl`].
    pub async fn rabbitmqctl(&self, args: &[&str]) -> Result<String> {
        self.control.rabbitmqctl(args).await
    }

    /// Kills the broker at once, as a power cut would (`SIGKILL`).
    ///
    /// # Errors
    /// The operating system refuses.
    pub async fn kill(&self) -> Result<()> {
        self.act(Server::kill).await
    }

    /// Stops the broker properly (about a second).
    ///
    /// # Errors
    /// The operating system refuses.
    pub async fn stop(&self) -> Result<()> {
        self.act(Server::stop).await
    }

    /// Starts the broker again after [`kill`](Self::kill) or [`stop`](Self::stop), on the same
    /// port and data; returns once it answers (about 4 s).
    ///
    /// # Errors
    /// It does not start; the error holds the end of its log.
    pub async fn start_again(&self) -> Result<()> {
        self.act(Server::run).await
    }

    /// Stops the broker and starts it again.
    ///
    /// # Errors
    /// As [`start_again`](Self::start_again).
    pub async fn restart(&self) -> Result<()> {
        self.act(|server| server.stop().and_then(|()| server.run()))
            .await
    }

    /// Stops the broker and removes all its data: queues, messages, vhosts.
    /// [`start_again`](Self::start_again) starts it empty, with the same user.
    ///
    /// # Errors
    /// The files cannot be removed.
    pub async fn wipe(&self) -> Result<()> {
        self.act(|server| server.stop().and_then(|()| server.node.wipe()))
            .await
    }

    async fn act(
        &self,
        what: impl FnOnce(&mut Server) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let server = Arc::clone(&self.server);
        tokio::task::spawn_blocking(move || what(&mut lock(&server))).await?
    }
}

/// The broker's process and its name server's (`epmd`), and what is needed to start them again.
#[derive(Debug)]
struct Server {
    node: Node,
    has_own_epmd: bool,
    epmd: Option<Child>,
    child: Option<Child>,
}

impl Server {
    fn run(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        // One of our own, so that none is left behind as a daemon.
        if self.has_own_epmd && self.epmd.is_none() {
            self.epmd = Some(start_epmd(self.node.ports.epmd)?);
        }
        self.child = Some(child::spawn(self.node.server_command()?)?);
        let deadline = Instant::now() + Duration::from_secs(240);
        while !speaks_amqp(self.node.ports.amqp) {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                self.child = None;
                bail!("RabbitMQ ended ({status}): {}", self.node.log_end());
            }
            if Instant::now() > deadline {
                bail!("RabbitMQ does not answer: {}", self.node.log_end());
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.child
            .take()
            .map_or(Ok(()), |mut child| child::kill(&mut child))
    }

    fn stop(&mut self) -> Result<()> {
        let patience = Duration::from_secs(30);
        self.child.take().map_or(Ok(()), |mut child| {
            child::stop(&mut child, "TERM", patience)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for mut child in [self.child.take(), self.epmd.take()].into_iter().flatten() {
            drop(child::kill(&mut child));
        }
    }
}

fn start_epmd(port: u16) -> Result<Child> {
    let epmd = child::spawn(Node::epmd_command(port))?;
    wait_for_port(port, Duration::from_secs(10))?;
    Ok(epmd)
}

fn lock(server: &Mutex<Server>) -> MutexGuard<'_, Server> {
    // A panic while holding the lock leaves processes and flags, all still true.
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(2))
}

fn wait_for_port(port: u16, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    while connect(port).is_err() {
        if Instant::now() > deadline {
            bail!("nothing listens on port {port}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Whether the broker answers the AMQP greeting with its `connection.start`, a method frame
/// (type 1): the port alone opens a little earlier.
fn speaks_amqp(port: u16) -> bool {
    let greet = || -> std::io::Result<u8> {
        let mut stream = connect(port)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first[0])
    };
    greet().is_ok_and(|first| first == 1)
}
