//! The settings of outgoing requests, plain and typed. The services fill them from the
//! environment; nothing here reads it.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

/// How requests may leave, and how long things may take.
#[derive(Debug, Clone)]
pub struct EgressConfig {
    /// Ranges that may be reached although the default rule denies them
    /// (`SIGNPOST_EGRESS_ALLOW`).
    pub allow: Vec<IpNet>,
    /// Refuse `http://` (`SIGNPOST_EGRESS_HTTPS_ONLY`).
    pub https_only: bool,
    /// Which ports may be reached (`SIGNPOST_EGRESS_PORTS`).
    pub ports: PortRule,
    /// Addresses that Signpost itself listens on. They are refused even where `allow` names them;
    /// an unspecified address (`0.0.0.0:8080`) stands for loopback with that port.
    pub own_listeners: Vec<SocketAddr>,
    /// DNS servers to ask; empty means those of `/etc/resolv.conf`.
    pub name_servers: Vec<SocketAddr>,
    /// Longest time for a name look-up.
    pub dns_timeout: Duration,
    /// Longest time for connecting, the TLS handshake included.
    pub connect_timeout: Duration,
    /// Certificate authorities trusted besides those of the system, as PEM text.
    pub extra_ca_pem: Option<String>,
    /// Most idle connections kept to one address of one host.
    pub max_idle_per_host: usize,
    /// Most idle connections kept in all.
    pub max_idle: usize,
    /// How long an unused connection is kept. A receiver's `Keep-Alive: timeout=` shortens it.
    pub idle_timeout: Duration,
    /// How old a connection may be when it takes another request.
    pub max_connection_age: Duration,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            https_only: true,
            ports: PortRule::default(),
            own_listeners: Vec::new(),
            name_servers: Vec::new(),
            dns_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(5),
            extra_ca_pem: None,
            max_idle_per_host: 256,
            max_idle: 1024,
            idle_timeout: Duration::from_secs(20),
            max_connection_age: Duration::from_secs(5 * 60),
        }
    }
}

/// Which ports may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PortRule {
    /// Every port but those that belong to other protocols (the Fetch standard's bad ports, and
    /// those of common databases and brokers).
    #[default]
    Open,
    /// These ports and 443, and no other.
    Only(Vec<u16>),
}
