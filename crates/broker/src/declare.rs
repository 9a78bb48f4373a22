//! Makes the topology stand, or checks that it does, and says what to do where it does not.
//!
//! Used by [`crate::link`] on every new connection, and again when a queue has vanished. Each
//! declaration has a channel of its own, since RabbitMQ closes the channel on a difference. It
//! never deletes, purges or changes anything that stands.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use lapin::{
    Channel, Connection, ErrorKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout},
};

use crate::{
    config::TopologyMode,
    topology::{Argument, Exchange, ExchangeKind, Queue, Topology},
};

/// Longest wait for one answer of the broker.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shorter than any restart of a broker.
const JUST_NOW: Duration = Duration::from_secs(1);

/// Why the topology does not stand.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TopologyError {
    /// It stands with other arguments, which only a person can solve.
    #[error(
        "{what} is not as Signpost needs it. Needed: {needed}. RabbitMQ says: {says}. To do: let it \
         run empty or move its messages away, delete it (a queue with rabbitmqctl delete_queue -p \
         VHOST NAME, an exchange in the management pages), and start again: Signpost declares it \
         anew"
    )]
    Differs {
        /// `queue signpost.events`.
        what: String,
        /// What it should be.
        needed: String,
        /// The broker's words, which name what stands.
        says: String,
    },
    /// It is not there, and [`TopologyMode::Check`] forbids creating it.
    #[error(
        "{what} is missing. Needed: {needed}. To do: declare it, or start once with \
         SIGNPOST_TOPOLOGY=declare as a user who may configure it"
    )]
    Missing {
        /// `queue signpost.events`.
        what: String,
        /// What it should be.
        needed: String,
    },
    /// This user may not declare it.
    #[error(
        "{what} cannot be declared by this user. RabbitMQ says: {says}. To do: grant configure, \
         write and read on ^signpost\\. (rabbitmqctl set_permissions), or declare it as another \
         user and set SIGNPOST_TOPOLOGY=check"
    )]
    Forbidden {
        /// `queue signpost.events`.
        what: String,
        /// The broker's words.
        says: String,
    },
    /// The connection broke or the broker did not answer; trying again may help.
    #[error("{what} could not be declared")]
    Lost {
        /// `queue signpost.events`.
        what: String,
        /// What lapin saw; `None` when nothing came in time.
        #[source]
        source: Option<lapin::Error>,
    },
}

impl TopologyError {
    /// Whether trying again may help without anybody's doing.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Differs { .. } | Self::Missing { .. } | Self::Forbidden { .. } => false,
        }
    }
}

/// Keeps one broker's topology standing; shared by all connections of the process.
#[derive(Debug)]
pub(crate) struct TopologyKeeper {
    topology: Topology,
    mode: TopologyMode,
    /// One at a time: two that create the same quorum queue at once get in each other's way.
    turn: Mutex<()>,
    /// When it stood last.
    stood_at: std::sync::Mutex<Option<Instant>>,
    /// The latest result, once there is one.
    result: watch::Sender<Option<Result<(), TopologyError>>>,
}

impl TopologyKeeper {
    pub(crate) fn new(topology: Topology, mode: TopologyMode) -> Arc<Self> {
        Arc::new(Self {
            topology,
            mode,
            turn: Mutex::new(()),
            stood_at: std::sync::Mutex::new(None),
            result: watch::Sender::new(None),
        })
    }

    pub(crate) fn result(&self) -> watch::Receiver<Option<Result<(), TopologyError>>> {
        self.result.subscribe()
    }

    /// Declares or compares everything, over this connection.
    pub(crate) async fn ensure(&self, connection: &Connection) -> Result<(), TopologyError> {
        let _turn = self.turn.lock().await;
        self.ensure_now(connection).await
    }

    /// The same, unless another connection of this process has just done it: after a restart of
    /// the broker all come at once.
    pub(crate) async fn ensure_once(&self, connection: &Connection) -> Result<(), TopologyError> {
        let _turn = self.turn.lock().await;
        if self.stood_at().is_some_and(|at| at.elapsed() < JUST_NOW) {
            return Ok(());
        }
        self.ensure_now(connection).await
    }

    async fn ensure_now(&self, connection: &Connection) -> Result<(), TopologyError> {
        let result = self.ensure_all(connection).await;
        *self.stood_at() = result.is_ok().then(Instant::now);
        self.result.send_replace(Some(result.clone()));
        result
    }

    fn stood_at(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.stood_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ensure_all(&self, connection: &Connection) -> Result<(), TopologyError> {
        let exchanges = self.topology.exchanges.iter().map(Part::Exchange);
        let queues = self.topology.queues.iter().map(Part::Queue);
        for part in exchanges.chain(queues) {
            match self.mode {
                TopologyMode::Declare => part.run(Step::Create, connection).await?,
                TopologyMode::Check => {
                    part.run(Step::Look, connection).await?;
                    match part.run(Step::Compare, connection).await {
                        // That it is there has to do for a user who may not configure.
                        Err(TopologyError::Forbidden { what, says }) => {
                            tracing::debug!(what, says, "arguments cannot be compared");
                        }
                        other => other?,
                    }
                }
            }
        }
        Ok(())
    }
}

/// What to do with a part of the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Declare and bind it.
    Create,
    /// See whether it is there; creates nothing.
    Look,
    /// Declare it once more, which creates nothing where it is, but compares the arguments.
    /// Bindings are left: AMQP has no way to look at one without making it.
    Compare,
}

#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Exchange(&'a Exchange),
    Queue(&'a Queue),
}

impl Part<'_> {
    async fn run(self, step: Step, connection: &Connection) -> Result<(), TopologyError> {
        let attempt = async {
            let channel = connection.create_channel().await?;
            self.declare(step, &channel).await?;
            channel.close(200, "OK".into()).await
        };
        match timeout(PATIENCE, attempt).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.explain(error)),
            Err(_elapsed) => Err(self.lost(None)),
        }
    }

    async fn declare(self, step: Step, channel: &Channel) -> lapin::Result<()> {
        let passive = step == Step::Look;
        match self {
            Self::Exchange(exchange) => {
                let options = ExchangeDeclareOptions {
                    passive,
                    durable: true,
                    ..ExchangeDeclareOptions::default()
                };
                let kind = match exchange.kind {
                    ExchangeKind::Topic => lapin::ExchangeKind::Topic,
                    ExchangeKind::Direct => lapin::ExchangeKind::Direct,
                    ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
                };
                let (name, arguments) = (exchange.name.as_str().into(), table(&exchange.arguments));
                channel
                    .exchange_declare(name, kind, options, arguments)
                    .await
            }
            Self::Queue(queue) => {
                let options = QueueDeclareOptions {
                    passive,
                    ..QueueDeclareOptions::durable()
                };
                let (name, arguments) = (queue.name.as_str().into(), table(&queue.arguments));
                channel.queue_declare(name, options, arguments).await?;
                let Some((exchange, key)) = queue.binding.filter(|_| step == Step::Create) else {
                    return Ok(());
                };
                let (name, options) = (queue.name.as_str().into(), QueueBindOptions::default());
                channel
                    .queue_bind(
                        name,
                        exchange.into(),
                        key.into(),
                        options,
                        FieldTable::default(),
                    )
                    .await
            }
        }
    }

    fn what(self) -> String {
        match self {
            Self::Exchange(exchange) => format!("exchange {}", exchange.name),
            Self::Queue(queue) => format!("queue {}", queue.name),
        }
    }

    fn needed(self) -> String {
        match self {
            Self::Exchange(exchange) => exchange.to_string(),
            Self::Queue(queue) => queue.to_string(),
        }
    }

    /// What the broker's reply code means
    /// (<https://www.rabbitmq.com/amqp-0-9-1-reference#constants>).
    fn explain(self, error: lapin::Error) -> TopologyError {
        let (code, says) = match error.kind() {
            ErrorKind::ProtocolError(refusal) => {
                (refusal.get_id(), refusal.get_message().to_string())
            }
            _ => (0, String::new()),
        };
        let (what, needed) = (self.what(), self.needed());
        match code {
            406 => TopologyError::Differs { what, needed, says },
            404 => TopologyError::Missing { what, needed },
            403 => TopologyError::Forbidden { what, says },
            _ => self.lost(Some(error)),
        }
    }

    fn lost(self, source: Option<lapin::Error>) -> TopologyError {
        TopologyError::Lost {
            what: self.what(),
            source,
        }
    }
}

fn table(arguments: &[(&'static str, Argument)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Argument::Number(number) => AMQPValue::LongInt(*number),
        };
        table.insert((*name).into(), value);
    }
    table
}
