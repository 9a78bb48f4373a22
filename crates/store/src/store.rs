//! The connection pool and the one way that every query takes through it.
//!
//! Opened once per process and cloned. It must never keep a connection whose state it does not
//! know: one that a query was cut off on is closed, not given to the next caller.

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{KeyRing, StoreError};

/// The schema, one file per step. A step is never changed once it is released.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.set_ignore_missing(true);
    migrator
}

/// A connection that has been idle for this long is tested before it is used again.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// A plan that is kept saves up to a quarter of PostgreSQL's work for a small batch. But one that
/// was made while the tables were empty reads all of a table, and is kept while the table grows.
/// So plans are kept only once the tables are known to be large; connections live for half an
/// hour, and then ask again.
const CHOOSE_PLANS: &str = "
SELECT set_config('plan_cache_mode', CASE
    WHEN EXISTS (SELECT 1 FROM pg_class WHERE oid = to_regclass('deliveries') AND reltuples > 10000)
    THEN 'force_generic_plan' ELSE 'force_custom_plan' END, false)";

/// A standby, or a database that an operator has set so, answers everything but writes.
const REFUSE_READ_ONLY: &str = "
DO $$ BEGIN
    IF current_setting('transaction_read_only')::bool THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'the database takes no writes';
    END IF;
END $$";

const BEGIN_SEARCH: &str = "BEGIN READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan";

/// How to reach the database, and how long to wait for it.
#[derive(Clone)]
pub struct StoreConfig {
    /// `postgres://user:password@host:port/database`. Holds a password: never log it. A pooler in
    /// between must give each connection a session of its own (listening and locks need one).
    pub url: String,
    /// Most connections of this process (the listener and the reconciler's lock come on top).
    pub max_connections: u32,
    /// Longest wait for a connection: a free one, or a new one to a server that is down.
    pub acquire_timeout: Duration,
    /// Longest run of one statement, enforced by the server.
    pub statement_timeout: Duration,
    /// Longest wait of a statement for a lock, enforced by the server.
    pub lock_timeout: Duration,
    /// The name that PostgreSQL's views show for this process.
    pub application_name: String,
    /// The master keys that secrets are encrypted with.
    pub keys: KeyRing,
}

impl StoreConfig {
    /// The usual settings: 8 connections, 1.5 s to get one, 10 s for a statement, 5 s for a lock.
    pub fn new(url: impl Into<String>, keys: KeyRing) -> Self {
        Self {
            url: url.into(),
            max_connections: 8,
            acquire_timeout: Duration::from_millis(1500),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            application_name: "signpost".to_owned(),
            keys,
        }
    }
}

/// What the database server says of itself.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// Its version, as in `15.7 (Debian 15.7-0+deb12u1)`.
    pub version: String,
    /// Its clock.
    pub now: chrono::DateTime<chrono::Utc>,
    /// The newest migration that has been applied; 0 for an empty database.
    pub migrated_to: i64,
    /// The newest migration that this program knows.
    pub known_to: i64,
}

/// The ledger. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    options: PgConnectOptions,
    deadline: Duration,
    keys: Arc<KeyRing>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The options hold the password.
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Prepares a pool without connecting: services start while the database is down. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn connect(config: StoreConfig) -> Result<Self, StoreError> {
        let millis = |duration: Duration| duration.as_millis().to_string();
        let is_postgres =
            config.url.starts_with("postgres://") || config.url.starts_with("postgresql://");
        if !is_postgres {
            return Err(StoreError::Url(sqlx::Error::Configuration(
                "another scheme".into(),
            )));
        }
        let options = PgConnectOptions::from_str(&config.url)
            .map_err(StoreError::Url)?
            .application_name(&config.application_name)
            .options([
                ("statement_timeout", millis(config.statement_timeout)),
                ("lock_timeout", millis(config.lock_timeout)),
                // A client that has vanished loses its locks within about 20 s.
                (
                    "idle_in_transaction_session_timeout",
                    millis(config.statement_timeout),
                ),
                ("tcp_keepalives_idle", "10".to_owned()),
                ("tcp_keepalives_interval", "5".to_owned()),
                ("tcp_keepalives_count", "2".to_owned()),
                ("tcp_user_timeout", "15000".to_owned()),
                ("jit", "off".to_owned()),
                // A plan made while a table was empty would read all of it when it has grown: a
                // connection keeps its plans. Every query here has an index that fits.
                ("enable_seqscan", "off".to_owned()),
            ]);
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout)
            .idle_timeout(Duration::from_secs(300))
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::query(CHOOSE_PLANS).execute(connection).await?;
                    Ok(())
                })
            })
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for >= TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options.clone());
        // The server's own limit comes first; this one is for a server that has gone silent.
        let deadline = config.acquire_timeout + config.statement_timeout + Duration::from_secs(1);
        Ok(Self {
            pool,
            options,
            deadline,
            keys: Arc::new(config.keys),
        })
    }

    /// Brings the schema up to date. Several processes may do so at once: an advisory lock lets
    /// one at a time through. Newer migrations than this program's own are left alone, so that
    /// old and new processes run side by side during an update.
    ///
    /// # Errors
    /// The database cannot be reached, or a migration fails; a failed one changes nothing.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // Waiting for another process's migration may take longer than any statement should.
        let unlimited = self
            .options
            .clone()
            .options([("statement_timeout", 0), ("lock_timeout", 0)]);
        // A pool of its own: sqlx's migrator is not `Send` over a bare connection.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.pool.options().get_acquire_timeout())
            .connect_lazy_with(unlimited);
        let migrated = migrator().run(&pool).await;
        pool.close().await;
        migrated.map_err(StoreError::Migrate)
    }

    /// Asks the database for a sign of life, and whether it takes writes.
    ///
    /// # Errors
    /// There is none, or it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.run("reach the database", async |db| {
            sqlx::query(REFUSE_READ_ONLY).execute(&mut *db).await
        })
        .await
        .map(drop)
    }

    /// What the server is, for `signpost doctor`.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn server_info(&self) -> Result<ServerInfo, StoreError> {
        let known_to = migrator()
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0);
        self.run("ask the database server what it is", async |db| {
            let (version, now) = sqlx::query_as("SELECT current_setting('server_version'), now()")
                .fetch_one(&mut *db)
                .await?;
            let table = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
            let migrated_to = if sqlx::query_scalar(table).fetch_one(&mut *db).await? {
                let newest = "SELECT COALESCE(max(version), 0) FROM _sqlx_migrations WHERE success";
                sqlx::query_scalar(newest).fetch_one(&mut *db).await?
            } else {
                0
            };
            Ok(ServerInfo {
                version,
                now,
                migrated_to,
                known_to,
            })
        })
        .await
    }

    /// Closes the pool once its connections are back.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Takes a connection, does `work` with it, and gives it back. All within the deadline; when
    /// that passes, or the caller drops the future, the connection is closed.
    pub(crate) async fn run<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        // On the heap, for the time of the query: inlined, sqlx's state would make each task that
        // ever asks the database tens of kilobytes larger, all the time that it waits for others.
        let attempt = Box::pin(async {
            let mut lease = Lease(None);
            let result = work(lease.0.insert(self.pool.acquire().await?)).await;
            // The work has ended by itself: the connection is in a known state. One that may only
            // read is of no use: after a failover, another one leads to the new primary.
            if !result.as_ref().is_err_and(is_read_only) {
                drop(lease.0.take());
            }
            result
        });
        self.within_deadline(operation, attempt).await
    }

    /// Like [`Store::run`], for queries whose best plan depends on what is looked for: they are
    /// planned for just these parameters.
    pub(crate) async fn search<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.run(operation, async |db| {
            let mut tx = db.begin_with(BEGIN_SEARCH).await?;
            let found = work(&mut tx).await?;
            tx.commit().await?;
            Ok(found)
        })
        .await
    }

    /// Waits for `work` no longer than the deadline.
    pub(crate) async fn within_deadline<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.deadline, work).await {
            Ok(result) => result.map_err(|source| StoreError::Database { operation, source }),
            Err(_elapsed) => Err(StoreError::Deadline {
                operation,
                limit: self.deadline,
            }),
        }
    }

    /// A connection outside the pool.
    pub(crate) async fn connect_alone(&self) -> Result<PgConnection, sqlx::Error> {
        self.options.connect().await
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    pub(crate) fn keys(&self) -> &KeyRing {
        &self.keys
    }
}

/// PostgreSQL manual, appendix A: `read_only_sql_transaction`.
fn is_read_only(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.code().as_deref() == Some("25006"))
}

/// A connection that is closed when it is dropped while a query is under way. sqlx's own pool
/// would wait for the answer before it reuses the place, for a quarter of an hour if the network
/// swallows it.
struct Lease(Option<PoolConnection<sqlx::Postgres>>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
