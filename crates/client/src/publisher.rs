//! Publishing over AMQP.
//!
//! Everything hard is in `signpost-broker`: one task per channel, confirms, reconnecting for ever.
//! Here it is told to create nothing in the broker, since a publisher is often not allowed to.

use signpost_broker::{Broker, BrokerConfig, BrokerUrl, BrokerUrlError, TopologyMode};
use signpost_runtime::Lifecycle;

use crate::{Event, Publish, PublishError};

/// Shown in RabbitMQ's management pages.
const CONNECTION_NAME: &str = "signpost-client";

/// A connection to RabbitMQ that is kept up for ever. Clones share it; it ends with the last one.
#[derive(Debug, Clone)]
pub struct Publisher {
    broker: Broker,
    publisher: signpost_broker::Publisher,
}

impl Publisher {
    /// Starts to connect, in the background, and gives the publisher at once: a broker that is
    /// down delays no start. Must be called within tokio.
    ///
    /// `url` is an AMQP URL (<https://www.rabbitmq.com/docs/uri-spec>), `amqps` for TLS; the
    /// vhost `/` is written `%2f`.
    ///
    /// # Errors
    /// It is not such a URL.
    pub fn connect(url: &str) -> Result<Self, BrokerUrlError> {
        let config = BrokerConfig {
            topology: TopologyMode::Check,
            ..BrokerConfig::new(BrokerUrl::parse(url)?, CONNECTION_NAME)
        };
        let broker = Broker::connect(&config, &Lifecycle::new(), None);
        let publisher = broker.publisher();
        Ok(Self { broker, publisher })
    }

    /// Whether publishing is possible now, for a health check.
    ///
    /// # Errors
    /// Why not, for a person.
    pub fn check(&self) -> Result<(), String> {
        self.broker.check_publishing()
    }

    /// Waits for the last confirms and closes the connection. Clones cannot publish any more.
    pub async fn close(self) {
        self.broker.close().await;
    }
}

impl Publish for Publisher {
    /// Waits up to 5 s for the confirm. While there is no connection, errors come at once.
    async fn send(&self, event: &Event) -> Result<(), PublishError> {
        let confirmed = self.publisher.publish_confirmed(event.message()).await;
        confirmed.map_err(PublishError::Broker)
    }
}
