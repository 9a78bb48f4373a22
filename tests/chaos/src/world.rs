//! The system under test: a private RabbitMQ and PostgreSQL, the services, the receiver, and
//! tenants with endpoints of many profiles.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use signpost_testkit::{
    Database, PostgresOptions, PrivatePostgres, PrivateRabbit, Receiver, free_ports,
};
use signpost_wire::{Profile, Scope, builtin};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use crate::{
    client,
    event::TENANTS,
    ledger::Subscription,
    process::{Service, Settings},
    receiver::{self, Door, Hits},
    schedule::{DISPATCHERS, INGESTS},
};

/// The key that everything is asked with.
pub(crate) const KEY: &str = "chaos-admin-key-0123456789abcdef01234567";
/// All retry delays are multiplied by this.
pub(crate) const TIME_SCALE: f64 = 0.1;
/// Retry delays in seconds, before they are shortened: enough for every outage of a run.
const DELAYS: [u32; 16] = [5, 5, 10, 10, 10, 20, 20, 30, 30, 30, 30, 60, 60, 60, 60, 60];
/// How long an attempt may take.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// What endpoints subscribe to, in turn. None gets the operator events, which a run makes too.
const PATTERNS: [&[&str]; 3] = [
    &["order.*", "user.*"],
    &["order.*"],
    &["*.created", "user.left"],
];
/// How long the start may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Everything that runs.
pub(crate) struct World {
    /// Its own lock for each: a fault keeps it until the service is back.
    pub(crate) ingests: Vec<Mutex<Service>>,
    pub(crate) dispatchers: Vec<Mutex<Service>>,
    pub(crate) rabbit: Mutex<PrivateRabbit>,
    pub(crate) postgres: Mutex<PrivatePostgres>,
    pub(crate) database: Database,
    pub(crate) receiver: Receiver,
    pub(crate) hits: Hits,
    pub(crate) endpoints: Vec<Subscription>,
    /// The endpoints' profiles, in the same order.
    pub(crate) profiles: Vec<Profile>,
    /// Where the ingests' APIs are.
    pub(crate) ports: [u16; INGESTS],
    pub(crate) amqp_url: String,
    /// Logs of all servers and services are below this folder.
    pub(crate) dir: PathBuf,
    pub(crate) began: Instant,
}

impl World {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// Something does not start.
    pub(crate) async fn start(
        dir: &Path,
        programs: &Path,
        endpoints: usize,
        seed: u64,
    ) -> Result<Self> {
        let (rabbit, postgres) = tokio::join!(
            PrivateRabbit::start(dir.join("rabbitmq")),
            // A kill loses nothing that was not synced: only a crash of the machine would.
            PrivatePostgres::start_with(
                dir.join("postgres"),
                PostgresOptions { is_durable: false }
            )
        );
        let (rabbit, postgres) = (rabbit?, postgres?);
        let database = postgres.database().await?;
        let settings = Settings {
            programs: programs.to_owned(),
            logs: dir.to_owned(),
            variables: variables(&rabbit.url(), database.url()),
        };
        let Services {
            ingests,
            dispatchers,
        } = Services::start(&settings).await?;
        let mut ports = [0; INGESTS];
        for (port, ingest) in ports.iter_mut().zip(&ingests) {
            *port = ingest.port;
        }
        let receiver = Receiver::builder().keep(0).start().await?;
        let api = Api { port: ports[0] };
        let (endpoints, doors) = subscribe(&api, &receiver, endpoints).await?;
        let profiles = doors.iter().map(|door| door.profile.clone()).collect();
        // RabbitMQ 3.10 writes the names of new quorum queues to disk some seconds later. One that
        // is killed before that finds its queues without their logs. Not ours to test.
        rabbit
            .control()
            .eval("[dets:sync(T) || T <- dets:all()].")
            .await?;
        let began = Instant::now();
        let hits = receiver::serve(&receiver, doors, seed, began);
        Ok(Self {
            ingests: ingests.into_iter().map(Mutex::new).collect(),
            dispatchers: dispatchers.into_iter().map(Mutex::new).collect(),
            amqp_url: rabbit.url(),
            rabbit: Mutex::new(rabbit),
            postgres: Mutex::new(postgres),
            database,
            receiver,
            hits,
            endpoints,
            profiles,
            ports,
            dir: dir.to_owned(),
            began,
        })
    }

    /// The time since the load began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

fn variables(amqp_url: &str, database_url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("SIGNPOST_AMQP_URL", amqp_url.to_owned()),
        ("SIGNPOST_DATABASE_URL", database_url.to_owned()),
        (
            "SIGNPOST_MASTER_KEYS",
            format!("k1:{}", STANDARD.encode([7; 32])),
        ),
        ("SIGNPOST_ADMIN_KEY", KEY.to_owned()),
        ("SIGNPOST_EGRESS_ALLOW", "127.0.0.0/8".to_owned()),
        ("SIGNPOST_EGRESS_HTTPS_ONLY", "false".to_owned()),
        ("SIGNPOST_TEST_TIME_SCALE", TIME_SCALE.to_string()),
    ]
}

struct Services {
    ingests: Vec<Service>,
    dispatchers: Vec<Service>,
}

impl Services {
    /// Starts all services. A port that was free may be taken a moment later; then others are
    /// tried.
    async fn start(settings: &Settings) -> Result<Self> {
        let mut tries = 3;
        loop {
            match Self::try_start(settings).await {
                Err(error) if tries > 1 && format!("{error:#}").contains("in use") => tries -= 1,
                result => return result,
            }
        }
    }

    async fn try_start(settings: &Settings) -> Result<Self> {
        let ports = free_ports::<{ 2 * (INGESTS + DISPATCHERS) }>()?;
        let mut ports = ports.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        let mut start = |program: &str, kind: &str, number: usize| {
            let ports = ports.next().context("there are ports for each")?;
            Service::start(program, &format!("{kind}-{number}"), ports, settings)
        };
        let mut ingests = (1..=INGESTS)
            .map(|number| start("signpost-ingest", "ingest", number))
            .collect::<Result<Vec<_>>>()?;
        let mut dispatchers = (1..=DISPATCHERS)
            .map(|number| start("signpost-dispatcher", "dispatcher", number))
            .collect::<Result<Vec<_>>>()?;
        for service in ingests.iter_mut().chain(&mut dispatchers) {
            service.until_ready().await?;
        }
        Ok(Self {
            ingests,
            dispatchers,
        })
    }
}

struct Api {
    port: u16,
}

impl Api {
    /// Asks until the service is not too busy, as it may be just after its start.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let bytes = if body.is_null() {
                Bytes::new()
            } else {
                body.to_string().into()
            };
            let patience = Duration::from_secs(10);
            let reply = client::send(self.port, method.clone(), path, KEY, bytes, patience).await?;
            if reply.status != 503 || Instant::now() > deadline {
                let text = String::from_utf8_lossy(&reply.body);
                ensure!(
                    reply.status < 300,
                    "{method} {path}: {} {text}",
                    reply.status
                );
                return Ok(serde_json::from_slice(&reply.body)?);
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn secret(&self, method: Method, path: &str, body: &Value) -> Result<(Value, String)> {
        let answer = self.ask(method, path, body).await?;
        let secret = answer["secret"].as_str().unwrap_or_default().to_owned();
        Ok((answer, secret))
    }
}

/// Makes the tenants and their endpoints; the profiles take turns.
async fn subscribe(
    api: &Api,
    receiver: &Receiver,
    count: usize,
) -> Result<(Vec<Subscription>, Vec<Door>)> {
    let (mut subscriptions, mut doors) = (Vec::new(), Vec::new());
    let mut profiles = builtin().iter().cycle();
    for tenant in TENANTS {
        api.ask(Method::PUT, &format!("/v1/tenants/{tenant}"), &json!({}))
            .await?;
        for number in 0..count {
            let builtin = profiles.next().context("there are built-in profiles")?;
            let path = format!("/{tenant}/{number}");
            let patterns = PATTERNS[number % PATTERNS.len()];
            let is_tenants = builtin
                .profile
                .signature()
                .is_some_and(|signature| signature.scope() == Scope::Tenant);
            let mut settings = json!({
                "name": format!("{} {number}", builtin.name),
                "url": receiver.url_of(&path),
                "events": patterns,
                "profile": builtin.name,
                "retry": {"delays": DELAYS.map(|delay| format!("{delay}s"))},
                "timeout": format!("{}s", ATTEMPT_TIMEOUT.as_secs()),
            });
            if builtin.name == "license-manager" {
                // Signed only where a secret is set.
                settings["secret"] = json!(format!("license-manager-secret-of-{tenant}-{number}"));
            }
            let route = format!("/v1/tenants/{tenant}/endpoints");
            let (endpoint, mut secret) = api.secret(Method::POST, &route, &settings).await?;
            if is_tenants {
                let route = format!("/v1/tenants/{tenant}/secret");
                (_, secret) = api.secret(Method::GET, &route, &Value::Null).await?;
            }
            doors.push(Door {
                path: path.clone(),
                key: builtin
                    .profile
                    .verifying_key(&secret)
                    .with_context(|| format!("the secret of {}", builtin.name))?,
                profile: builtin.profile.clone(),
            });
            subscriptions.push(Subscription {
                tenant: tenant.to_owned(),
                id: endpoint["id"].as_str().unwrap_or_default().to_owned(),
                path,
                patterns,
                delays: DELAYS
                    .map(|delay| Duration::from_secs(delay.into()).mul_f64(TIME_SCALE))
                    .to_vec(),
            });
        }
    }
    Ok((subscriptions, doors))
}
