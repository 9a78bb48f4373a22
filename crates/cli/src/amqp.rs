//! Publishing over AMQP, as any service may (contract: exchange `signpost.events`, routing key
//! `TENANT.EVENT_TYPE`), and looking at the broker. Through `signpost-broker` only.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use signpost_broker::{Broker, BrokerConfig, BrokerUrl, EventMessage, Publisher, TopologyMode};
use signpost_domain::Event;
use signpost_runtime::Lifecycle;

use crate::error::{CliError, Result};

/// How long the broker may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a broker's URL. The error does not show it: it may hold a password.
pub fn parse_url(text: &str) -> Result<BrokerUrl> {
    BrokerUrl::parse(text).map_err(|error| CliError::Usage(error.to_string()))
}

/// A connection that publishes events.
#[derive(Debug)]
pub struct EventPublisher {
    broker: Broker,
    publisher: Publisher,
}

impl EventPublisher {
    /// Connects, and checks that Signpost's exchanges and queues are there.
    ///
    /// # Errors
    /// No broker answers, or it is not set up for Signpost.
    pub async fn connect(url: &str) -> Result<Self> {
        let mut config = BrokerConfig::new(parse_url(url)?, "signpost");
        config.topology = TopologyMode::Check;
        let shown = config.url.to_string();
        let broker = Broker::connect(&config, &Lifecycle::new(), None);
        let publisher = broker.publisher();
        tokio::time::timeout(PATIENCE, broker.wait_for_topology())
            .await
            .map_err(|_elapsed| CliError::Unreachable {
                url: shown.clone(),
                reason: format!("no connection within {} s", PATIENCE.as_secs()),
            })?
            .with_context(|| format!("the broker {shown} is not set up"))?;
        Ok(Self { broker, publisher })
    }

    /// Publishes an event and waits for the broker's confirm.
    ///
    /// # Errors
    /// It was not confirmed.
    pub async fn publish(&self, event: &Event) -> Result<()> {
        let message = EventMessage::encode(event, None);
        self.publisher
            .publish_within(message, PATIENCE)
            .await
            .map_err(|error| anyhow!("the broker did not take an event: {error}"))?;
        Ok(())
    }

    /// Ends the connection in order.
    pub async fn close(self) {
        self.broker.close().await;
    }
}
