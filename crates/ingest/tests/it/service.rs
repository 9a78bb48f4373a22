//! A whole service for one test: a database and a vhost of its own, started in this process.

use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use signpost_ingest::{Args, Config, Listeners, Running, run};
use signpost_runtime::Lifecycle;
use signpost_store::{KeyRing, Store, StoreConfig};
use signpost_testkit::{Database, Vhost, database, vhost, wait_until};
use tokio::net::TcpListener;

use crate::client::Client;

/// The administrator's key of every test.
pub(crate) const ADMIN_KEY: &str = "admin-key-of-the-tests";
/// The key ring of every test.
pub(crate) const MASTER_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// How long a test waits for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A running service.
pub(crate) struct Service {
    pub(crate) client: Client,
    pub(crate) admin: Client,
    pub(crate) database: Database,
    pub(crate) vhost: Vhost,
    pub(crate) running: Running,
    pub(crate) lifecycle: Lifecycle,
}

impl Service {
    /// A service that is ready, with its own empty database and vhost.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further flags.
    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        let (database, vhost) = (database().await.unwrap(), vhost().await.unwrap());
        let (database_url, amqp_url) = (database.url().to_owned(), vhost.url().to_owned());
        let config = config(&database_url, &amqp_url, flags);
        let (client, admin, running, lifecycle) = launch(&config).await;
        let service = Self {
            client,
            admin,
            database,
            vhost,
            running,
            lifecycle,
        };
        service.until_ready().await;
        service
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn until_ready(&self) {
        wait_until("the service is ready", PATIENCE, async || {
            match self.admin.get("/readyz").await {
                reply if reply.status == 200 => Ok(()),
                reply => Err(String::from_utf8_lossy(&reply.bytes).into_owned()),
            }
        })
        .await;
    }

    /// Makes a tenant and gives its manager's key.
    pub(crate) async fn tenant(&self, id: &str) -> Client {
        self.client
            .put(&format!("/v1/tenants/{id}"), &json!({}))
            .await
            .expect(200);
        self.key(id, "manager").await
    }

    /// Makes a key of a tenant.
    pub(crate) async fn key(&self, tenant: &str, role: &str) -> Client {
        let path = format!("/v1/tenants/{tenant}/keys");
        let reply = self
            .client
            .post(&path, &json!({"role": role}))
            .await
            .expect(201);
        self.client.with_key(reply.json["key"].as_str().unwrap())
    }

    /// Another handle to the service's database, to put things into the ledger.
    pub(crate) fn store(&self) -> Store {
        let keys = KeyRing::parse(MASTER_KEYS).unwrap();
        Store::connect(StoreConfig::new(self.database.url(), keys)).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

/// The configuration of a test's service.
pub(crate) fn config(database_url: &str, amqp_url: &str, flags: &[&str]) -> Config {
    let (database_url, amqp_url) = (
        format!("--database-url={database_url}"),
        format!("--amqp-url={amqp_url}"),
    );
    let (admin_key, master_keys) = (
        format!("--admin-key={ADMIN_KEY}"),
        format!("--master-keys={MASTER_KEYS}"),
    );
    let mut all = vec![
        "signpost-ingest",
        &database_url,
        &amqp_url,
        &master_keys,
        "--egress-allow=127.0.0.0/8",
        "--egress-https-only=false",
        // 100 ms and less for every tier: none is used here, but all are declared.
        "--time-scale=0.01",
    ];
    if !flags.contains(&"--admin-key=") {
        all.push(&admin_key);
    }
    all.extend(flags);
    Args::parse_from(all).check().unwrap()
}

/// Starts a service that need not become ready.
pub(crate) async fn launch(config: &Config) -> (Client, Client, Running, Lifecycle) {
    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listeners = Listeners {
        api: bind().await,
        admin: bind().await,
    };
    let client = |listener: &TcpListener, key: Option<&str>| Client {
        address: listener.local_addr().unwrap(),
        key: key.map(str::to_owned),
    };
    let (api, admin) = (
        client(&listeners.api, Some(ADMIN_KEY)),
        client(&listeners.admin, None),
    );
    let lifecycle = Lifecycle::new();
    let running = run(config, listeners, &lifecycle).unwrap();
    (api, admin, running, lifecycle)
}

/// An endpoint's settings for a URL.
pub(crate) fn endpoint(url: &str) -> Value {
    json!({"name": "Billing", "url": url, "events": ["*"]})
}
