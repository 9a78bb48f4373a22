//! How much waits in the queues.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lapin::{ErrorKind, options::QueueDeclareOptions, types::FieldTable};
use tokio::time::timeout;

use crate::link::Link;

/// Longest wait for an answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that wait; those in work are not counted.
    pub ready: u32,
    /// Consumers, of all processes.
    pub consumers: u32,
}

/// The management connection did not give an answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the broker did not answer: {reason}")]
pub struct QueueError {
    pub(crate) reason: String,
}

impl QueueError {
    pub(crate) fn new(reason: impl std::fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
        }
    }
}

/// Asks for depths over the management connection.
#[derive(Debug)]
pub(crate) struct Queues {
    link: Arc<Link>,
    names: Vec<String>,
}

impl Queues {
    pub(crate) fn new(link: Arc<Link>, names: Vec<String>) -> Self {
        Self { link, names }
    }

    /// What one queue holds; `None` when there is no such queue.
    pub(crate) async fn depth(&self, queue: &str) -> Result<Option<QueueDepth>, QueueError> {
        let depths = self.depths_of(std::slice::from_ref(&queue)).await?;
        Ok(depths.into_values().next())
    }

    /// What each queue of the topology holds; missing queues are left out.
    pub(crate) async fn depths(&self) -> Result<BTreeMap<String, QueueDepth>, QueueError> {
        self.depths_of(&self.names).await
    }

    async fn depths_of<N: AsRef<str>>(
        &self,
        names: &[N],
    ) -> Result<BTreeMap<String, QueueDepth>, QueueError> {
        let ask = async {
            let mut depths = BTreeMap::new();
            let mut channel = self.link.channel().await.map_err(QueueError::new)?;
            for name in names {
                // A passive declaration only looks, and any user may do it on most versions.
                let options = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::durable()
                };
                let name = name.as_ref();
                let asked = channel.queue_declare(name.into(), options, FieldTable::default());
                match asked.await {
                    Ok(queue) => {
                        let depth = QueueDepth {
                            ready: queue.message_count(),
                            consumers: queue.consumer_count(),
                        };
                        depths.insert(name.to_owned(), depth);
                    }
                    Err(error) if is_missing(&error) => {
                        // The broker closes the channel on this answer.
                        channel = self.link.channel().await.map_err(QueueError::new)?;
                    }
                    Err(error) => return Err(QueueError::new(error)),
                }
            }
            // A channel that cannot be closed is gone already.
            drop(channel.close(200, "OK".into()).await);
            Ok(depths)
        };
        match timeout(PATIENCE, ask).await {
            Ok(result) => result,
            Err(_elapsed) => Err(QueueError::new("no answer in time")),
        }
    }
}

fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(refusal) if refusal.get_id() == 404)
}
