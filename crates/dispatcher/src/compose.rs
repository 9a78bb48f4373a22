//! Puts the dispatcher together, runs it, and stops it in order. Tests use the same wiring.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use prometheus::Registry;
use secrecy::ExposeSecret;
use signpost_broker::{
    Broker, BrokerConfig, BrokerMetrics, BrokerUrl, BrokerUrlError, Consumer, ConsumerConfig,
    TopologyMode, topology,
};
use signpost_domain::{BreakerConfig, Clock, SystemClock, Tiers};
use signpost_egress::{Egress, EgressConfig, PortRule, Rules};
use signpost_runtime::{Lifecycle, Readiness, admin, error_chain};
use signpost_store::{KeyRing, KeyRingError, Store, StoreConfig, StoreError};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    claims::{self, Claims},
    config::Config,
    context::Context,
    deliveries,
    directory::{self, Directory},
    fanout,
    gate::{GateConfig, Gates},
    health::{self, Health},
    housekeeping::{self, Retention},
    metrics::Metrics,
    probe::{self, Newest, ProbeAge},
    reconciler,
    recorder::{self, Recorder},
};

/// Why the dispatcher cannot be put together. All of these are the configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker's URL.
    #[error("SIGNPOST_AMQP_URL cannot be used")]
    Amqp(#[source] BrokerUrlError),
    /// The database's URL.
    #[error("SIGNPOST_DATABASE_URL cannot be used")]
    Database(#[source] StoreError),
    /// No master keys.
    #[error(
        "SIGNPOST_MASTER_KEYS is not set: it encrypts signing secrets at rest. Make one with \
         `echo \"k1:$(openssl rand -base64 32)\"` and give all services the same"
    )]
    NoMasterKeys,
    /// The master keys.
    #[error("the master keys cannot be read")]
    MasterKeys(#[source] KeyRingError),
    /// TLS or name resolution.
    #[error("outgoing requests cannot be set up")]
    Egress(#[source] signpost_egress::Error),
    /// A metric's name is taken.
    #[error("metrics cannot be set up")]
    Metrics(#[source] prometheus::Error),
}

/// Retries and deferrals that may wait for their confirm at once. A busy broker works them off no
/// sooner when there are more of them, and new events wait behind them.
const PUBLISHES_IN_FLIGHT: u32 = 200;
/// How often queue depths are read.
const QUEUE_DEPTHS_EVERY: Duration = Duration::from_secs(5);
/// How long the database may be silent before the service is not ready.
const DATABASE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// Starts the dispatcher. It runs in `lifecycle` until that stops; it starts while the broker or
/// the database is down, and says so at `/readyz`.
///
/// # Errors
/// The configuration cannot be used.
pub fn run(config: Config, admin: TcpListener, lifecycle: Lifecycle) -> Result<(), Error> {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).map_err(Error::Metrics)?;
    let broker_metrics = BrokerMetrics::register(&registry).map_err(Error::Metrics)?;
    let tiers = Tiers::scaled(config.time_scale);
    let broker = broker(&config, tiers, &lifecycle, broker_metrics)?;
    let store = store(&config)?;
    let egress_config = egress_config(&config);
    let egress = Egress::new(&egress_config).map_err(Error::Egress)?;
    let (recorder, entries) = Recorder::new();
    let (claims, questions) = Claims::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let newest_probe = Arc::new(Newest::new(clock.now()));
    if config.probe_every.is_some() {
        let age = ProbeAge::new(Arc::clone(&newest_probe), Arc::clone(&clock));
        let age = age.map_err(Error::Metrics)?;
        registry.register(Box::new(age)).map_err(Error::Metrics)?;
    }
    let readiness = Readiness::new();
    let context = Arc::new(Context {
        directory: Directory::new(store.clone(), clock.clone(), Rules::new(&egress_config)),
        gates: Gates::new(GateConfig {
            max_in_flight: config.max_in_flight,
            endpoint_in_flight: config.endpoint_in_flight,
            breaker: breaker_config(tiers),
        }),
        publisher: broker.publisher(),
        work: TaskTracker::new(),
        all_settled: CancellationToken::new(),
        lifecycle: lifecycle.clone(),
        max_event_bytes: config.max_event_bytes,
        health: Health::default(),
        newest_probe,
        leads: AtomicBool::new(false),
        clock,
        store,
        egress,
        claims,
        recorder,
        metrics,
        tiers,
    });
    lifecycle.spawn(
        "admin",
        admin::serve(admin, registry, readiness.clone(), lifecycle.clone()),
    );
    broker.measure_queues(QUEUE_DEPTHS_EVERY);
    let parts = Parts {
        context,
        broker,
        entries,
        questions,
        prefetch: config.prefetch,
        retention: config.retention,
        probe_every: config.probe_every,
        readiness,
    };
    lifecycle.spawn("dispatcher", parts.run());
    Ok(())
}

/// The breaker's pauses are scaled in tests like all other delays.
fn breaker_config(tiers: Tiers) -> BreakerConfig {
    let production = BreakerConfig::default();
    BreakerConfig {
        pause: production.pause.mul_f64(tiers.scale()),
        longest_pause: production.longest_pause.mul_f64(tiers.scale()),
        ..production
    }
}

fn broker(
    config: &Config,
    tiers: Tiers,
    lifecycle: &Lifecycle,
    metrics: BrokerMetrics,
) -> Result<Broker, Error> {
    let url = BrokerUrl::parse(config.amqp_url.expose_secret()).map_err(Error::Amqp)?;
    let mut broker = BrokerConfig::new(url, "signpost-dispatcher");
    broker.publisher.max_in_flight = PUBLISHES_IN_FLIGHT;
    broker.tiers = tiers;
    broker.topology = if config.declare_topology {
        TopologyMode::Declare
    } else {
        TopologyMode::Check
    };
    Ok(Broker::connect(&broker, lifecycle, Some(metrics)))
}

fn store(config: &Config) -> Result<Store, Error> {
    let text = config.master_keys.as_ref().ok_or(Error::NoMasterKeys)?;
    let keys = KeyRing::parse(text.expose_secret()).map_err(Error::MasterKeys)?;
    let mut store = StoreConfig::new(config.database_url.expose_secret(), keys);
    "signpost-dispatcher".clone_into(&mut store.application_name);
    Store::connect(store).map_err(Error::Database)
}

fn egress_config(config: &Config) -> EgressConfig {
    EgressConfig {
        allow: config.egress_allow.clone(),
        https_only: config.egress_https_only,
        ports: if config.egress_ports.is_empty() {
            PortRule::Open
        } else {
            PortRule::Only(config.egress_ports.clone())
        },
        own_listeners: vec![config.admin_listen],
        ..EgressConfig::default()
    }
}

struct Parts {
    context: Arc<Context>,
    broker: Broker,
    entries: tokio::sync::mpsc::Receiver<recorder::Entry>,
    questions: tokio::sync::mpsc::Receiver<claims::Question>,
    prefetch: u16,
    retention: Retention,
    probe_every: Option<Duration>,
    readiness: Readiness,
}

impl Parts {
    /// Runs everything and stops it in order: consumers, work under way, records, the broker.
    async fn run(self) {
        let Self {
            context,
            broker,
            entries,
            questions,
            prefetch,
            retention,
            probe_every,
            readiness,
        } = self;
        let lifecycle = context.lifecycle.clone();
        let stop = lifecycle.token();
        watch_database(&context, &readiness);
        // Boxed: the compiler cannot see through the nested futures that they are `Send`.
        let preparation = prepare(Arc::clone(&context), broker.clone()).boxed();
        match stop.clone().run_until_cancelled_owned(preparation).await {
            Some(true) => {}
            Some(false) => {
                lifecycle.stop();
                return close(broker).await;
            }
            None => return close(broker).await,
        }
        let events = broker.consume(
            ConsumerConfig {
                queue: topology::EVENTS,
                prefetch,
            },
            stop.clone(),
        );
        let retries = broker.consume(
            ConsumerConfig {
                queue: topology::DELIVERIES,
                prefetch,
            },
            stop.clone(),
        );
        watch_consumers(&readiness, [&events, &retries]);

        let consumers = TaskTracker::new();
        consumers.spawn(lifecycle.guard("fan-out", fanout::run(Arc::clone(&context), events)));
        consumers
            .spawn(lifecycle.guard("deliveries", deliveries::run(Arc::clone(&context), retries)));
        consumers.close();
        let stop_ledger = CancellationToken::new();
        let ledger = TaskTracker::new();
        ledger.spawn(lifecycle.guard(
            "recorder",
            recorder::run(Arc::clone(&context), entries, stop_ledger.clone()),
        ));
        ledger.spawn(lifecycle.guard(
            "claims",
            claims::run(Arc::clone(&context), questions, stop_ledger.clone()),
        ));
        ledger.close();
        lifecycle.spawn("directory", directory::watch(Arc::clone(&context)));
        lifecycle.spawn("health", health::run(Arc::clone(&context)));
        lifecycle.spawn(
            "housekeeping",
            housekeeping::run(Arc::clone(&context), broker.clone(), retention),
        );
        lifecycle.spawn(
            "reconciler",
            reconciler::run(Arc::clone(&context), broker.clone()),
        );
        if let Some(every) = probe_every {
            lifecycle.spawn("probe", probe::run(Arc::clone(&context), every));
        }

        stop.cancelled().await;
        // The order matters: each step only waits for work that the steps before cannot add to.
        // The consumers have stopped taking; they end when what they took is settled.
        context.work.close();
        context.work.wait().await;
        stop_ledger.cancel();
        ledger.wait().await;
        context.work.wait().await;
        context.all_settled.cancel();
        consumers.wait().await;
        close(broker).await;
        context.store.close().await;
    }
}

fn close(broker: Broker) -> BoxFuture<'static, ()> {
    async move { broker.close().await }.boxed()
}

/// Waits for the broker's topology and the database's schema. `false`: a person must act.
async fn prepare(context: Arc<Context>, broker: Broker) -> bool {
    if let Err(error) = broker.wait_for_topology().await {
        tracing::error!(error = %error_chain(&error), "the topology of the broker does not fit");
        return false;
    }
    loop {
        match context.store.migrate().await {
            Ok(()) => return true,
            Err(error) if error.is_transient() => {
                tracing::warn!(error = %error_chain(&error), "the database is not ready");
                tokio::time::sleep(DATABASE_CHECK_EVERY).await;
            }
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "the database cannot be migrated");
                return false;
            }
        }
    }
}

fn watch_consumers(readiness: &Readiness, consumers: [&Consumer; 2]) {
    for (name, consumer) in ["events", "deliveries"].into_iter().zip(consumers) {
        let status = consumer.status();
        readiness.add(name, move || status.check());
    }
    // Not earlier: before the topology stands, events have nowhere to go.
    readiness.complete();
}

/// Asks the database now and then, so that `/readyz` can answer from memory.
fn watch_database(context: &Arc<Context>, readiness: &Readiness) {
    let (problem, shown) = watch::channel(Some("not asked yet".to_owned()));
    readiness.add("database", move || match &*shown.borrow() {
        Some(problem) => Err(problem.clone()),
        None => Ok(()),
    });
    let (store, token) = (context.store.clone(), context.lifecycle.token());
    context.lifecycle.spawn("database check", async move {
        loop {
            problem.send_replace(
                store
                    .ping()
                    .await
                    .err()
                    .map(|error| error_chain(&error).to_string()),
            );
            tokio::select! {
                // Cancel-safe: nothing is lost with a pause.
                () = tokio::time::sleep(DATABASE_CHECK_EVERY) => {}
                () = token.cancelled() => return,
            }
        }
    });
}
