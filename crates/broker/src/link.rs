//! One connection to the broker, kept up for ever.
//!
//! There is one link per role: publishing, consuming and managing. They are separate connections,
//! since RabbitMQ stops reading from those that publish when memory or disk runs short, and
//! consumers must go on then. A deadpool-lapin pool of size one makes, checks and owns each
//! connection; users of a link ask for a channel, and are made to wait while the link connects.
//! Nobody holds a connection or checks one out per message.

mod state;

pub(crate) use state::{LinkError, LinkState, Role};

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_lapin::{Manager, Object, Pool, PoolConfig, PoolError, Timeouts};
use futures::StreamExt;
use lapin::{Channel, ConnectionProperties, Event};
use signpost_runtime::{Lifecycle, error_chain};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{backoff::Backoff, config::BrokerConfig, declare::TopologyKeeper, guard};
use state::mark_down;

/// Longest time for connecting and logging in.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a channel.
const CHANNEL_PATIENCE: Duration = Duration::from_secs(5);
/// A connection that has lived this long was a good one: the next failure is the first again.
const GOOD_LIFE: Duration = Duration::from_secs(5);
/// How often a connection's state is looked at; lapin does not report every end by an event.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One connection, kept up.
pub(crate) struct Link {
    role: Role,
    pool: Pool,
    keeper: Arc<TopologyKeeper>,
    lifecycle: Lifecycle,
    current: Mutex<Current>,
    state: watch::Sender<LinkState>,
    /// Counts connections, so that the watcher of an old one does not speak for the new one.
    generation: Arc<AtomicU64>,
    is_used: AtomicBool,
    is_closed: AtomicBool,
}

#[derive(Default)]
struct Current {
    connection: Option<Live>,
    backoff: Backoff,
    /// When the topology was last seen to, to bound how often that is done.
    repaired_at: Option<Instant>,
}

struct Live {
    object: Object,
    since: Instant,
    /// Ends the watcher with the connection.
    _watcher: DropGuard,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A link that connects at the first call of [`Self::channel`].
    pub(crate) fn new(
        role: Role,
        config: &BrokerConfig,
        keeper: Arc<TopologyKeeper>,
        lifecycle: Lifecycle,
    ) -> Arc<Self> {
        let name = format!("{} {}", config.connection_name, role.as_str());
        let properties =
            move || ConnectionProperties::default().with_connection_name(name.as_str().into());
        let runtime = guard::stream::runtime(config.url.tls_host());
        let manager = Manager::new(config.url.for_lapin(), properties, runtime);
        let timeouts = Timeouts {
            wait: Some(CONNECT_PATIENCE),
            create: Some(CONNECT_PATIENCE),
            recycle: Some(CONNECT_PATIENCE),
        };
        let pool_config = PoolConfig {
            timeouts,
            ..PoolConfig::new(1)
        };
        let pool = Pool::builder(manager)
            .config(pool_config)
            .runtime(deadpool_lapin::Runtime::Tokio1)
            .build();
        #[expect(
            clippy::expect_used,
            reason = "building fails only where timeouts are set without a runtime; it is set above"
        )]
        let pool = pool.expect("a runtime is set");
        let down = LinkState::Down {
            since: Instant::now(),
            reason: "not connected yet".to_owned(),
        };
        Arc::new(Self {
            role,
            pool,
            keeper,
            lifecycle,
            current: Mutex::default(),
            state: watch::Sender::new(down),
            generation: Arc::default(),
            is_used: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        })
    }

    /// The state, now and as it changes.
    pub(crate) fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Whether it is connected; `None` when nobody has wanted it yet.
    pub(crate) fn is_connected(&self) -> Option<bool> {
        let is_used = self.is_used.load(Ordering::Relaxed);
        is_used.then(|| !matches!(*self.state.borrow(), LinkState::Down { .. }))
    }

    /// Where to start tasks that serve this link.
    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// A new channel, on a new connection where there is none. Waits out the back-off first, and
    /// tries once: callers try again for as long as they want one.
    ///
    /// Cancel-safe: a connection that is half made is thrown away.
    pub(crate) async fn channel(&self) -> Result<Channel, LinkError> {
        self.is_used.store(true, Ordering::Relaxed);
        let mut current = self.current.lock().await;
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(LinkError::Connect("closed".to_owned()));
        }
        if let Some(live) = &current.connection
            && live.object.status().connected()
        {
            match timeout(CHANNEL_PATIENCE, live.object.create_channel()).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(error)) => tracing::debug!(%error, "no channel on this connection"),
                Err(_elapsed) => tracing::debug!("no channel in time on this connection"),
            }
        }
        self.drop_connection(&mut current);
        sleep(current.backoff.wait(rand::random())).await;
        match self.connect(&mut current).await {
            Ok(channel) => Ok(channel),
            Err(error) => {
                current.backoff.failed();
                self.set_down(&error_chain(&error).to_string());
                tracing::warn!(
                    role = self.role.as_str(),
                    error = %error_chain(&error),
                    "broker connection failed"
                );
                Err(error)
            }
        }
    }

    async fn connect(&self, current: &mut Current) -> Result<Channel, LinkError> {
        let object = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => LinkError::Connect(error_chain(&error).to_string()),
            PoolError::Timeout(_) => LinkError::Connect("no answer in time".to_owned()),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                LinkError::Connect(error.to_string())
            }
        })?;
        let channel = match self.set_up(&object).await {
            Ok(channel) => channel,
            Err(error) => {
                // Out of the pool: a connection that does not answer must not come back.
                drop(Object::take(object));
                return Err(error);
            }
        };
        let watcher = CancellationToken::new();
        self.watch(&object, watcher.clone());
        tracing::info!(role = self.role.as_str(), "connected to the broker");
        current.repaired_at = Some(Instant::now());
        current.connection = Some(Live {
            object,
            since: Instant::now(),
            _watcher: watcher.drop_guard(),
        });
        Ok(channel)
    }

    async fn set_up(&self, connection: &lapin::Connection) -> Result<Channel, LinkError> {
        let ensured = self.keeper.ensure_once(connection).await;
        ensured.map_err(LinkError::Topology)?;
        match timeout(CHANNEL_PATIENCE, connection.create_channel()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(LinkError::Channel(error_chain(&error).to_string())),
            Err(_elapsed) => Err(LinkError::Channel("no answer in time".to_owned())),
        }
    }

    /// Sees to the topology again: something in it may be missing. Does nothing while there is no
    /// connection (the next one does it), and not more than once a second.
    pub(crate) async fn repair(&self) {
        let mut current = self.current.lock().await;
        let is_recent = |at: Instant| at.elapsed() < Duration::from_secs(1);
        if current.repaired_at.is_some_and(is_recent) {
            return;
        }
        let Some(live) = &current.connection else {
            return;
        };
        if !live.object.status().connected() {
            return;
        }
        if let Err(error) = self.keeper.ensure(&live.object).await {
            let error = error_chain(&error).to_string();
            tracing::error!(error, "the topology could not be repaired");
        }
        current.repaired_at = Some(Instant::now());
    }

    /// Closes the connection properly, for good.
    pub(crate) async fn close(&self) {
        let mut current = self.current.lock().await;
        self.is_closed.store(true, Ordering::Relaxed);
        if let Some(live) = current.connection.take() {
            let connection = Object::take(live.object);
            let closed = timeout(CHANNEL_PATIENCE, connection.close(200, "OK".into())).await;
            tracing::debug!(role = self.role.as_str(), ?closed, "connection closed");
        }
        self.set_down("closed");
    }

    /// Throws the connection away: it is of no use, whatever lapin thinks of it.
    pub(crate) async fn discard(&self) {
        let mut current = self.current.lock().await;
        self.drop_connection(&mut current);
    }

    fn drop_connection(&self, current: &mut Current) {
        let Some(live) = current.connection.take() else {
            return;
        };
        if live.since.elapsed() > GOOD_LIFE {
            current.backoff.succeeded();
        }
        // Also a connection that is lost at once again counts as a failure.
        current.backoff.failed();
        self.set_down("connection lost");
        // Out of the pool, which would hand it out again as long as lapin calls it connected.
        drop(Object::take(live.object));
    }

    fn set_down(&self, reason: &str) {
        // The watcher of the old connection has nothing to say any more.
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.state.send_modify(|state| mark_down(state, reason));
    }

    /// Follows one connection's state until it ends.
    fn watch(&self, connection: &lapin::Connection, end: CancellationToken) {
        let generation = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        self.state.send_replace(LinkState::Up);
        let mut events = Box::pin(connection.events_listener());
        let status = connection.status().clone();
        // Not the link itself, which is to end when nobody wants it any more.
        let (state, latest) = (self.state.clone(), Arc::clone(&self.generation));
        self.lifecycle.spawn("broker link", async move {
            let mut looks = interval(LOOK_EVERY);
            loop {
                // Cancel-safe: each branch only takes one event.
                let event = tokio::select! {
                    () = end.cancelled() => return,
                    event = events.next() => event,
                    _ = looks.tick() => None,
                };
                let change = |change: &dyn Fn(&mut LinkState)| {
                    state.send_if_modified(|state| {
                        let before = state.clone();
                        if latest.load(Ordering::SeqCst) == generation {
                            change(state);
                        }
                        *state != before
                    });
                };
                match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(reason, "the broker blocks publishing");
                        change(&|state| {
                            *state = LinkState::Blocked {
                                reason: reason.clone(),
                            };
                        });
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!("the broker takes messages again");
                        change(&|state| *state = LinkState::Up);
                    }
                    _ => {}
                }
                if !status.connected() {
                    change(&|state| mark_down(state, "connection lost"));
                    return;
                }
            }
        });
    }
}
