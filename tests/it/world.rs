//! A whole Signpost for one test: real processes, a vhost and a database of their own, a receiver.
//!
//! Tests talk to it as users do: over HTTP, AMQP and SQL.

mod api;
mod process;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use signpost_testkit::{Database, Receiver, Vhost, free_ports, wait_until};

pub(crate) use api::Api;
pub(crate) use process::Process;

/// The key that every world's admin uses.
pub(crate) const ADMIN_KEY: &str = "e2e-admin-key-0123456789abcdef0123456789";
/// Long enough for anything on a busy machine; only a failure waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a world is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How many dispatchers.
    pub(crate) dispatchers: usize,
    /// What all delays are multiplied by.
    pub(crate) time_scale: f64,
    /// Where RabbitMQ is, if not a vhost of the shared one.
    pub(crate) amqp_url: Option<String>,
    /// Where PostgreSQL is, if not a database of the shared one.
    pub(crate) database_url: Option<String>,
    /// More variables for all services.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            dispatchers: 1,
            time_scale: 1.0,
            amqp_url: None,
            database_url: None,
            variables: Vec::new(),
        }
    }
}

/// A running Signpost.
pub(crate) struct World {
    /// The API, as admin.
    pub(crate) api: Api,
    /// Answers webhooks; 200 unless told otherwise.
    pub(crate) receiver: Receiver,
    /// Where RabbitMQ is.
    pub(crate) amqp_url: String,
    /// The ingest process.
    pub(crate) ingest: Process,
    /// The dispatcher processes.
    pub(crate) dispatchers: Vec<Process>,
    _vhost: Option<Vhost>,
    database: Option<Database>,
}

impl World {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(plan: Plan) -> Self {
        let vhost = match &plan.amqp_url {
            Some(_) => None,
            None => Some(signpost_testkit::vhost().await.unwrap()),
        };
        let database = match &plan.database_url {
            Some(_) => None,
            None => Some(signpost_testkit::database().await.unwrap()),
        };
        let amqp_url = plan
            .amqp_url
            .clone()
            .or_else(|| Some(vhost.as_ref()?.url().to_owned()))
            .unwrap();
        let database_url = plan
            .database_url
            .clone()
            .or_else(|| Some(database.as_ref()?.url().to_owned()))
            .unwrap();
        let mut variables = vec![
            ("SIGNPOST_AMQP_URL", amqp_url.clone()),
            ("SIGNPOST_DATABASE_URL", database_url.clone()),
            (
                "SIGNPOST_MASTER_KEYS",
                format!("k1:{}", base64_of(&[7; 32])),
            ),
            ("SIGNPOST_ADMIN_KEY", ADMIN_KEY.to_owned()),
            ("SIGNPOST_EGRESS_ALLOW", "127.0.0.0/8".to_owned()),
            ("SIGNPOST_EGRESS_HTTPS_ONLY", "false".to_owned()),
            ("SIGNPOST_TEST_TIME_SCALE", plan.time_scale.to_string()),
        ];
        variables.extend(plan.variables.iter().cloned());
        let (listen, ingest, dispatchers) = services(&plan, &variables).await;
        let api = Api::new(listen, ADMIN_KEY);
        let receiver = Receiver::start().await.unwrap();
        Self {
            api,
            receiver,
            amqp_url,
            ingest,
            dispatchers,
            _vhost: vhost,
            database,
        }
    }

    /// Makes a tenant.
    pub(crate) async fn tenant(&self, id: &str) {
        self.api
            .prepare(Method::PUT, &format!("/v1/tenants/{id}"), &json!({}))
            .await
            .expect(&[200, 201]);
    }

    /// Makes an endpoint for the receiver's `path`, with the settings given, and gives it as the
    /// API answered, with its secret.
    pub(crate) async fn endpoint(&self, tenant: &str, path: &str, settings: Value) -> Value {
        let mut body = json!({"name": path, "url": self.receiver.url_of(path), "events": ["*"]});
        for (key, value) in settings.as_object().unwrap() {
            body[key] = value.clone();
        }
        let path = format!("/v1/tenants/{tenant}/endpoints");
        self.api
            .prepare(Method::POST, &path, &body)
            .await
            .expect(&[201])
            .json()
    }

    /// Publishes an event over HTTP and gives its id.
    pub(crate) async fn event(&self, tenant: &str, event_type: &str, data: Value) -> String {
        let body = json!({"type": event_type, "data": data});
        let answer = self
            .api
            .post(&format!("/v1/tenants/{tenant}/events"), &body)
            .await
            .expect(&[202])
            .json();
        answer["id"].as_str().unwrap().to_owned()
    }

    /// One value from the database, as text.
    pub(crate) async fn sql(&self, query: &str) -> String {
        let database = self.database.as_ref().unwrap();
        database.psql(query).await.unwrap().trim().to_owned()
    }

    /// Runs the command line as admin: its standard output, or what it said when it failed.
    pub(crate) async fn signpost(&self, tenant: &str, words: &[&str]) -> Result<String, String> {
        let mut command = tokio::process::Command::new(process::built("signpost"));
        command
            .env_clear()
            .env("SIGNPOST_SERVER", self.api.url())
            .env("SIGNPOST_KEY", ADMIN_KEY)
            .env("SIGNPOST_TENANT", tenant)
            .args(words)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    /// Waits until all deliveries of the tenant that the query selects have one of the statuses,
    /// and are `count`; gives them, newest first.
    pub(crate) async fn until_deliveries(
        &self,
        tenant: &str,
        query: &str,
        statuses: &[&str],
        count: usize,
    ) -> Vec<Value> {
        let path = format!("/v1/tenants/{tenant}/deliveries?limit=250{query}");
        wait_until("deliveries are as wanted", PATIENCE, async || {
            let page = self.api.get(&path).await.expect(&[200]).json();
            let items = page["items"].as_array().unwrap().clone();
            let done = items
                .iter()
                .all(|item| statuses.contains(&item["status"].as_str().unwrap()));
            if done && items.len() == count {
                Ok(items)
            } else {
                Err(items)
            }
        })
        .await
    }

    /// A delivery with its attempts.
    pub(crate) async fn delivery(&self, tenant: &str, delivery: &Value) -> Value {
        let id = delivery["id"].as_str().unwrap();
        self.api
            .get(&format!("/v1/tenants/{tenant}/deliveries/{id}"))
            .await
            .expect(&[200])
            .json()
    }
}

/// Starts the services and waits until they are ready. A port that was free may be taken by
/// another test a moment later; then others are tried.
async fn services(
    plan: &Plan,
    variables: &[(&'static str, String)],
) -> (String, Process, Vec<Process>) {
    for _ in 0..10 {
        let ports = free_ports::<8>().unwrap();
        let listen = format!("127.0.0.1:{}", ports[0]);
        let mut own = variables.to_vec();
        own.push(("SIGNPOST_LISTEN", listen.clone()));
        let mut ingest = Process::start("signpost-ingest", ports[1], own);
        let mut dispatchers: Vec<_> = ports[2..]
            .iter()
            .take(plan.dispatchers)
            .map(|port| Process::start("signpost-dispatcher", *port, variables.to_vec()))
            .collect();
        let mut has_port = ingest.until_ready_or_port_taken().await;
        for dispatcher in &mut dispatchers {
            has_port = has_port && dispatcher.until_ready_or_port_taken().await;
        }
        if has_port {
            return (listen, ingest, dispatchers);
        }
    }
    panic!("no free ports in ten tries")
}

/// Standard base64.
pub(crate) fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
