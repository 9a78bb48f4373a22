//! What a service tells this crate: where the broker is, and how to treat it.

use std::{fmt, time::Duration};

use lapin::uri::{AMQPScheme, AMQPUri};
use signpost_domain::Tiers;

/// Seconds between heartbeats. lapin gives a silent connection up after 2 to 2.5 of them: with 8 a
/// broker that has vanished from the network is noticed within 20 s
/// (<https://www.rabbitmq.com/docs/heartbeats>).
pub(crate) const HEARTBEAT_SECONDS: u16 = 8;

/// Longest frame in bytes. lapin has buffers for 32 frames each way on each of a process's three
/// connections: with RabbitMQ's own proposal of 128 KiB they took 24 MiB.
const MAX_FRAME: u32 = 32 * 1024;

/// Where the broker is and how to use it.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Host, port, credentials and vhost.
    pub url: BrokerUrl,
    /// Shown in RabbitMQ's management pages, with the connection's role added:
    /// `signpost-ingest publish`.
    pub connection_name: String,
    /// Whether to create what is missing.
    pub topology: TopologyMode,
    /// The lengths of the retry tiers; scaled down in tests only.
    pub tiers: Tiers,
    /// How messages are published.
    pub publisher: PublisherConfig,
}

impl BrokerConfig {
    /// Production settings for this broker.
    pub fn new(url: BrokerUrl, connection_name: &str) -> Self {
        Self {
            url,
            connection_name: connection_name.to_owned(),
            topology: TopologyMode::default(),
            tiers: Tiers::default(),
            publisher: PublisherConfig::default(),
        }
    }
}

/// What to do about the topology at every connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TopologyMode {
    /// Create what is missing; a difference is an error.
    #[default]
    Declare,
    /// Create nothing; what is missing is an error too.
    Check,
}

/// How messages are published.
#[derive(Debug, Clone, Copy)]
pub struct PublisherConfig {
    /// How long to wait for a confirm: 1.5 s on the way in, 5 s elsewhere.
    pub confirm_timeout: Duration,
    /// Channels on the publishing connection, each with a task of its own. One is as fast as four
    /// on two cores (`examples/throughput.rs`), as no publish waits for the one before it.
    pub channels: usize,
    /// Messages that may wait for a confirm at once. A large one counts for several: one for each
    /// 8 KiB, so that this bounds the memory too.
    pub max_in_flight: u32,
}

impl Default for PublisherConfig {
    fn default() -> Self {
        Self {
            confirm_timeout: Duration::from_secs(5),
            channels: 1,
            max_in_flight: 4096,
        }
    }
}

/// An AMQP URL (<https://www.rabbitmq.com/docs/uri-spec>). Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(AMQPUri);

/// Why a text is not a broker's URL. The text itself may hold a password and is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerUrlError {
    /// Not an AMQP URL.
    #[error("not an AMQP URL: it must look like amqp://USER:PASSWORD@HOST:PORT/VHOST")]
    Syntax,
    /// An IPv6 address, which the AMQP library does not understand in a URL.
    #[error("an IPv6 address cannot be used in an AMQP URL: use a host name")]
    Ipv6,
}

impl BrokerUrl {
    /// Reads `amqp://` and `amqps://` URLs. The vhost `/` is written `%2f`.
    ///
    /// # Errors
    /// It is not such a URL.
    pub fn parse(text: &str) -> Result<Self, BrokerUrlError> {
        let after_credentials = text.rsplit('@').next().unwrap_or(text);
        let after_scheme = after_credentials
            .rsplit("://")
            .next()
            .unwrap_or(after_credentials);
        if after_scheme.starts_with('[') {
            return Err(BrokerUrlError::Ipv6);
        }
        // The library's reason is left out, as it may repeat the text.
        let mut uri: AMQPUri = text
            .parse()
            .map_err(|_reason: String| BrokerUrlError::Syntax)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(MAX_FRAME);
        Ok(Self(uri))
    }

    /// The host whose certificate is checked, for `amqps`.
    pub(crate) fn tls_host(&self) -> Option<String> {
        match self.0.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(self.0.authority.host.clone()),
        }
    }

    /// The URL for lapin, password included. Always `amqp`: where TLS is wanted, the connection is
    /// encrypted below lapin (see [`crate::guard`]).
    pub(crate) fn for_lapin(&self) -> String {
        let mut uri = self.0.clone();
        uri.scheme = AMQPScheme::AMQP;
        uri.to_string()
    }

    /// The vhost.
    pub fn vhost(&self) -> &str {
        &self.0.vhost
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = &self.0.authority;
        let (user, host, port) = (
            &authority.userinfo.username,
            &authority.host,
            authority.port,
        );
        let vhost = self.0.vhost.replace('/', "%2f");
        write!(f, "{}://{user}:***@{host}:{port}/{vhost}", self.0.scheme)
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let url = BrokerUrl::parse("amqps://me:hunter2@rabbit.example:5671/a%2fb").unwrap();
        assert_eq!(url.to_string(), "amqps://me:***@rabbit.example:5671/a%2fb");
        let config = format!("{:?}", BrokerConfig::new(url.clone(), "test"));
        assert!(!config.contains("hunter2"), "{config}");
        assert_eq!(url.tls_host().as_deref(), Some("rabbit.example"));
        assert_eq!(
            url.for_lapin(),
            "amqp://me:hunter2@rabbit.example:5671/a%2Fb?frame_max=32768&heartbeat=8"
        );
        for bad in ["hunter2", "http://me:hunter2@x", "amqp:hunter2"] {
            let error = BrokerUrl::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn defaults_and_limits_of_urls() {
        let url = BrokerUrl::parse("amqp://127.0.0.1").unwrap();
        assert_eq!(url.to_string(), "amqp://guest:***@127.0.0.1:5672/%2f");
        assert_eq!(
            BrokerUrl::parse("amqps://rabbit").unwrap().to_string(),
            "amqps://guest:***@rabbit:5671/%2f"
        );
        let own = BrokerUrl::parse("amqp://rabbit/?heartbeat=30&frame_max=8192").unwrap();
        assert!(
            own.for_lapin().ends_with("?frame_max=8192&heartbeat=30"),
            "{}",
            own.for_lapin()
        );
        assert_eq!(
            BrokerUrl::parse("amqp://a:b@[::1]:5672/%2f"),
            Err(BrokerUrlError::Ipv6)
        );
    }
}
