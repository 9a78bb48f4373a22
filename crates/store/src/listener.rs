//! News of changes, pushed by PostgreSQL's LISTEN / NOTIFY.
//!
//! Each process that keeps something in memory runs one listener. Notifications are not kept by
//! PostgreSQL: what happens while the connection is down is never heard of. Therefore the loss
//! of the connection and its return are changes themselves; after either, nothing that was read
//! before may be trusted.

use std::time::Duration;

use signpost_domain::{KeyId, TenantId};
use sqlx::{
    Executor as _,
    postgres::{PgListener, PgPoolOptions},
};

use crate::Store;

/// After this much silence the connection is tested: a network that swallows packets gives no
/// other sign.
const TEST_AFTER: Duration = Duration::from_secs(5);
/// Longest wait for the answer to a test, and for a connection.
const PATIENCE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The tenant, its endpoints, its secrets or its event types.
    Tenant(TenantId),
    /// The custom profiles.
    Profiles,
    /// An API key was changed or revoked.
    Key(KeyId),
    /// The connection is lost: changes go unheard until it is back.
    Lost,
    /// The connection is there (again): everything may have changed.
    Reconnected,
}

/// Hears of changes for as long as it lives. Never gives up.
#[derive(Debug)]
pub struct Listener {
    store: Store,
    connection: Option<PgListener>,
    pause: Duration,
    has_told_loss: bool,
}

impl Store {
    /// A listener, not yet connected: the first change is [`Change::Reconnected`].
    pub fn listen(&self) -> Listener {
        Listener {
            store: self.clone(),
            connection: None,
            pause: FIRST_PAUSE,
            has_told_loss: true,
        }
    }
}

impl Listener {
    /// Waits for the next change. Cancel-safe: nothing that was heard gets lost.
    pub async fn next(&mut self) -> Change {
        loop {
            let Some(connection) = &mut self.connection else {
                if !std::mem::replace(&mut self.has_told_loss, true) {
                    return Change::Lost;
                }
                if let Some(connection) = self.connect().await {
                    self.connection = Some(connection);
                    self.pause = FIRST_PAUSE;
                    self.has_told_loss = false;
                    return Change::Reconnected;
                }
                continue;
            };
            match tokio::time::timeout(TEST_AFTER, connection.try_recv()).await {
                Ok(Ok(Some(notification))) => {
                    if let Some(change) = read(notification.channel(), notification.payload()) {
                        return change;
                    }
                }
                Ok(Ok(None)) => self.lose("closed by the server"),
                Ok(Err(error)) => self.lose(&error.to_string()),
                Err(_silent) => {
                    let test = connection.execute("SELECT 1");
                    match tokio::time::timeout(PATIENCE, test).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => self.lose(&error.to_string()),
                        Err(_silent) => self.lose("no answer"),
                    }
                }
            }
        }
    }

    fn lose(&mut self, why: &str) {
        tracing::warn!(why, "the connection that hears of changes is lost");
        self.connection = None;
    }

    /// One attempt to connect, after a pause that grows.
    async fn connect(&mut self) -> Option<PgListener> {
        let connect = async {
            // A pool of its own: sqlx's listener insists on one.
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .acquire_timeout(PATIENCE)
                .connect_lazy_with(self.store.options());
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener
                .listen_all(["signpost_directory", "signpost_keys"])
                .await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let error = match tokio::time::timeout(PATIENCE, connect).await {
            Ok(Ok(listener)) => return Some(listener),
            Ok(Err(error)) => error.to_string(),
            Err(_silent) => "no answer".to_owned(),
        };
        tracing::debug!(error, "cannot connect to hear of changes");
        let jitter = rand::random_range(0.8..1.2);
        tokio::time::sleep(self.pause.mul_f64(jitter)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        None
    }
}

/// Reads a notification; one that this version does not know is none of its business.
fn read(channel: &str, payload: &str) -> Option<Change> {
    match (channel, payload) {
        ("signpost_directory", "*") => Some(Change::Profiles),
        ("signpost_directory", tenant) => TenantId::parse(tenant).ok().map(Change::Tenant),
        ("signpost_keys", key) => KeyId::parse(key).ok().map(Change::Key),
        _ => None,
    }
}
