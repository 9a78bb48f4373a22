//! Puts the service together, runs it, and stops it in order. Tests use the same wiring.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus::Registry;
use secrecy::ExposeSecret;
use signpost_broker::{Broker, BrokerConfig, BrokerMetrics, TopologyError};
use signpost_domain::{Clock, SystemClock};
use signpost_egress::{Egress, EgressConfig, PortRule};
use signpost_runtime::{Lifecycle, Readiness, admin, error_chain};
use signpost_store::{Change, Store, StoreConfig, StoreError};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{
    api::endpoints::test,
    app::{App, Parts},
    auth::Keys,
    backlog::Backlog,
    bucket::Buckets,
    cache::Outage,
    config::Config,
    known::{Catalogs, Tenants},
    metrics::Metrics,
    router::router,
    serve,
};

/// Confirms must come within this time, so that a publisher has its answer within 2 s.
const CONFIRM_TIMEOUT: Duration = Duration::from_millis(1500);
/// Publishing channels.
const CHANNELS: usize = 4;
/// Events that may wait for their confirm at once.
const MAX_IN_FLIGHT: u32 = 16_384;
/// Batches that are read at once.
const BATCHES: usize = 16;
/// How often the database is asked for a sign of life, and how long a failed start-up step waits.
const DATABASE_CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often the uses of keys are written down.
const NOTE_USES_EVERY: Duration = Duration::from_secs(10);
/// How often queue depths are measured.
const QUEUE_DEPTHS_EVERY: Duration = Duration::from_secs(5);

/// Why the service cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's URL, its schema, or a secret in it.
    #[error("use the database")]
    Database(#[source] StoreError),
    /// TLS or name resolution.
    #[error("set up outgoing requests")]
    Egress(#[source] signpost_egress::Error),
    /// A metric's name is taken.
    #[error("set up metrics")]
    Metrics(#[source] prometheus::Error),
    /// The broker's exchanges or queues are others than they must be.
    #[error("use the broker's topology")]
    Topology(#[source] TopologyError),
    /// Nobody could use the API.
    #[error(
        "there is no API key: SIGNPOST_ADMIN_KEY is not set and the database holds none. Make one \
         with `openssl rand -hex 32`, set it as SIGNPOST_ADMIN_KEY and start again"
    )]
    NoKeys,
}

impl Error {
    /// The exit code of the process: 2 for what the configuration can mend, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoKeys => 2,
            Self::Database(_) | Self::Egress(_) | Self::Metrics(_) | Self::Topology(_) => 1,
        }
    }
}

/// A service that was started.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<OnceLock<Error>>);

impl Running {
    /// Why the service has stopped by itself, if it has.
    pub fn failure(&self) -> Option<&Error> {
        self.0.get()
    }
}

/// The listeners of the service.
#[derive(Debug)]
pub struct Listeners {
    /// The API and the pages.
    pub api: TcpListener,
    /// Metrics and health.
    pub admin: TcpListener,
}

/// Starts the service. It runs in `lifecycle` until that stops; it starts while the broker or the
/// database is down, and says so at `/readyz`.
///
/// # Errors
/// The configuration cannot be used.
pub fn run(config: &Config, listeners: Listeners, lifecycle: &Lifecycle) -> Result<Running, Error> {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).map_err(Error::Metrics)?;
    let broker_metrics = BrokerMetrics::register(&registry).map_err(Error::Metrics)?;
    let store = store(config)?;
    let broker = Broker::connect(&broker_config(config), lifecycle, Some(broker_metrics));
    let own = [&listeners.api, &listeners.admin];
    let own = own.iter().filter_map(|listener| listener.local_addr().ok());
    let egress = Egress::new(&egress_config(config, own.collect())).map_err(Error::Egress)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let outage = Arc::new(Outage::default());
    let parts = Parts {
        keys: Keys::new(
            config.admin_key.as_ref(),
            store.clone(),
            Arc::clone(&clock),
            Arc::clone(&outage),
        ),
        tenants: Tenants::new(store.clone(), Arc::clone(&outage)),
        catalogs: Catalogs::new(store.clone(), Arc::clone(&outage)),
        backlog: Backlog::new(config.max_queued_events),
        batches: Semaphore::new(BATCHES),
        test_sends: Buckets::new(test::INTERVAL, test::BURST),
        publisher: broker.publisher(),
        max_event_bytes: config.max_event_bytes,
        clock,
        store,
        broker,
        egress,
        metrics,
    };
    let app = Arc::new(parts);
    let readiness = Readiness::new();
    let service = Service {
        app: Arc::clone(&app),
        outage,
        readiness: readiness.clone(),
        lifecycle: lifecycle.clone(),
        running: Running::default(),
        needs_stored_key: config.admin_key.is_none(),
    };
    let running = service.running.clone();
    lifecycle.spawn(
        "admin",
        admin::serve(listeners.admin, registry, readiness, lifecycle.clone()),
    );
    service.start_background();
    let (router, max_connections) = (router(Arc::clone(&app)), config.max_connections);
    lifecycle.spawn("http", async move {
        serve::serve(listeners.api, router, max_connections, &service.lifecycle).await;
        service.stop().await;
    });
    Ok(running)
}

struct Service {
    app: App,
    outage: Arc<Outage>,
    readiness: Readiness,
    lifecycle: Lifecycle,
    running: Running,
    needs_stored_key: bool,
}

impl Service {
    fn start_background(&self) {
        self.app.broker.measure_queues(QUEUE_DEPTHS_EVERY);
        self.watch_broker();
        self.watch_database();
        self.readiness.complete();
        let (app, token) = (Arc::clone(&self.app), self.lifecycle.token());
        self.lifecycle.spawn("backlog", async move {
            app.backlog.watch(&app.broker, token).await;
        });
        let (app, outage) = (Arc::clone(&self.app), Arc::clone(&self.outage));
        self.until_stopped("changes", async move { hear_changes(&app, &outage).await });
        let app = Arc::clone(&self.app);
        self.until_stopped("key uses", async move {
            loop {
                tokio::time::sleep(NOTE_USES_EVERY).await;
                note_uses(&app).await;
            }
        });
    }

    /// A task that may be dropped at any of its waits once the process stops.
    fn until_stopped(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let token = self.lifecycle.token();
        self.lifecycle.spawn(name, async move {
            tokio::select! {
                // Cancel-safe: these tasks only look, and what they have not looked at stays.
                () = task => {}
                () = token.cancelled() => {}
            }
        });
    }

    /// The topology stands before the first event is published; a difference that a person has to
    /// see to stops the service.
    fn watch_broker(&self) {
        let broker = self.app.broker.clone();
        self.readiness
            .add("broker", move || broker.check_publishing());
        let (broker, fail) = (self.app.broker.clone(), self.failing());
        self.until_stopped("topology", async move {
            if let Err(error) = broker.wait_for_topology().await {
                fail(Error::Topology(error));
            }
        });
    }

    /// Migrates, then asks for a sign of life now and then, so that `/readyz` answers from memory.
    /// Once it was there, an outage is shown and no more: events are accepted without it, and would
    /// not be if nobody sent them here.
    fn watch_database(&self) {
        let (missing, shown) = watch::channel(Some("not reached yet".to_owned()));
        self.readiness.add("database", move || {
            shown.borrow().clone().map_or(Ok(()), Err)
        });
        let (away, shown) = watch::channel(None);
        self.readiness.add_note("database", move || {
            shown.borrow().clone().map_or(Ok(()), Err)
        });
        let (store, fail) = (self.app.store.clone(), self.failing());
        let needs_stored_key = self.needs_stored_key;
        self.until_stopped("database", async move {
            loop {
                match prepare(&store).await {
                    Ok(false) if needs_stored_key => return fail(Error::NoKeys),
                    Ok(_has_keys) => break,
                    Err(error) if error.is_transient() => {
                        let error = error_chain(&error).to_string();
                        tracing::warn!(error, "the database is not ready");
                        missing.send_replace(Some(error));
                    }
                    Err(error) => return fail(Error::Database(error)),
                }
                tokio::time::sleep(DATABASE_CHECK_EVERY).await;
            }
            missing.send_replace(None);
            loop {
                let problem = store.ping().await.err();
                away.send_replace(problem.map(|error| error_chain(&error).to_string()));
                tokio::time::sleep(DATABASE_CHECK_EVERY).await;
            }
        });
    }

    /// Stops the service for a reason that only a person can remove.
    fn failing(&self) -> impl Fn(Error) + Send + 'static {
        let (running, lifecycle) = (self.running.clone(), self.lifecycle.clone());
        move |error| {
            tracing::error!(error = %error_chain(&error), "cannot go on");
            // The first reason stays.
            drop(running.0.set(error));
            lifecycle.stop();
        }
    }

    /// After the last request has been answered.
    async fn stop(self) {
        note_uses(&self.app).await;
        self.app.broker.close().await;
        self.app.store.close().await;
    }
}

/// Brings the schema up to date, tries the master keys, and says whether any API key is stored.
async fn prepare(store: &Store) -> Result<bool, StoreError> {
    store.migrate().await?;
    store.check_master_keys().await?;
    store.has_keys().await
}

/// Forgets what has changed, for as long as it is not dropped.
async fn hear_changes(app: &Parts, outage: &Outage) {
    let mut listener = app.store.listen();
    loop {
        match listener.next().await {
            Change::Tenant(tenant) => {
                app.tenants.forget(&tenant);
                app.catalogs.forget(&tenant);
            }
            Change::Key(key) => app.keys.forget(&key),
            // Nothing of profiles is remembered here.
            Change::Profiles => {}
            Change::Lost => doubt(app, outage, true),
            Change::Reconnected => doubt(app, outage, false),
        }
    }
}

fn doubt(app: &Parts, outage: &Outage, is_deaf: bool) {
    outage.set_deaf(is_deaf);
    app.keys.doubt();
    app.tenants.doubt();
    app.catalogs.doubt();
}

async fn note_uses(app: &Parts) {
    if let Err(error) = app.keys.note_uses().await {
        let error = error_chain(&error).to_string();
        tracing::debug!(error, "the uses of API keys could not be written down");
    }
}

fn store(config: &Config) -> Result<Store, Error> {
    let url = config.database_url.expose_secret();
    let mut store = StoreConfig::new(url, config.master_keys.clone());
    store.max_connections = config.database_connections;
    "signpost-ingest".clone_into(&mut store.application_name);
    Store::connect(store).map_err(Error::Database)
}

fn broker_config(config: &Config) -> BrokerConfig {
    let mut broker = BrokerConfig::new(config.broker_url.clone(), "signpost-ingest");
    broker.topology = config.topology;
    broker.tiers = config.tiers;
    broker.publisher.confirm_timeout = CONFIRM_TIMEOUT;
    broker.publisher.channels = CHANNELS;
    broker.publisher.max_in_flight = MAX_IN_FLIGHT;
    broker
}

fn egress_config(config: &Config, own_listeners: Vec<SocketAddr>) -> EgressConfig {
    EgressConfig {
        allow: config.egress_allow.clone(),
        https_only: config.egress_https_only,
        ports: if config.egress_ports.is_empty() {
            PortRule::Open
        } else {
            PortRule::Only(config.egress_ports.clone())
        },
        own_listeners,
        ..EgressConfig::default()
    }
}
