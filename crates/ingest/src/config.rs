//! The configuration of the service: environment variables, and the same as flags. The only file
//! that reads the environment.
//!
//! [`Args`] is what clap reads; [`Args::check`] turns it into the typed [`Config`] and reports
//! every problem at once. Nothing reads configuration after the start.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Parser, ValueEnum};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use signpost_broker::{BrokerUrl, TopologyMode};
use signpost_domain::Tiers;
use signpost_runtime::{error_chain, secret, telemetry::LogFormat};
use signpost_store::KeyRing;

/// Fewest characters of the administrator's key.
const MIN_ADMIN_KEY: usize = 16;
/// Largest value of `SIGNPOST_MAX_EVENT_BYTES`: the broker takes 16 MiB, and a profile adds to it.
const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// Accepts events over HTTP, publishes them to RabbitMQ and serves Signpost's API and pages.
#[derive(Debug, Parser)]
#[command(name = "signpost-ingest", version)]
pub struct Args {
    /// RabbitMQ.
    #[arg(long, env = "SIGNPOST_AMQP_URL", hide_env_values = true)]
    amqp_url: Option<String>,
    /// A file that holds the RabbitMQ URL.
    #[arg(long, env = "SIGNPOST_AMQP_URL_FILE")]
    amqp_url_file: Option<PathBuf>,
    /// PostgreSQL.
    #[arg(long, env = "SIGNPOST_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A file that holds the PostgreSQL URL.
    #[arg(long, env = "SIGNPOST_DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
    /// Most connections to PostgreSQL.
    #[arg(long, env = "SIGNPOST_DATABASE_CONNECTIONS", default_value_t = 10)]
    database_connections: u32,
    /// Where the API and the pages are served.
    #[arg(long, env = "SIGNPOST_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where metrics and health are served.
    #[arg(long, env = "SIGNPOST_ADMIN_LISTEN", default_value = "127.0.0.1:9090")]
    admin_listen: SocketAddr,
    /// The administrator's API key, at least 16 characters.
    #[arg(long, env = "SIGNPOST_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
    /// A file that holds the administrator's API key.
    #[arg(long, env = "SIGNPOST_ADMIN_KEY_FILE")]
    admin_key_file: Option<PathBuf>,
    /// Key ring that encrypts secrets at rest, `kid:base64[,kid:base64…]`, the primary first.
    #[arg(long, env = "SIGNPOST_MASTER_KEYS", hide_env_values = true)]
    master_keys: Option<String>,
    /// A file that holds the key ring.
    #[arg(long, env = "SIGNPOST_MASTER_KEYS_FILE")]
    master_keys_file: Option<PathBuf>,
    /// Address ranges that may be reached although the default rule denies them.
    #[arg(long, env = "SIGNPOST_EGRESS_ALLOW", value_delimiter = ',')]
    egress_allow: Vec<String>,
    /// Whether endpoints' URLs must be https.
    #[arg(long, env = "SIGNPOST_EGRESS_HTTPS_ONLY", default_value_t = true, action = ArgAction::Set)]
    egress_https_only: bool,
    /// Ports that endpoints' URLs may have; by default every port but those of internal services.
    #[arg(long, env = "SIGNPOST_EGRESS_PORTS", value_delimiter = ',')]
    egress_ports: Vec<String>,
    /// Whether the broker's queues are declared, or only compared with what they should be.
    #[arg(long, env = "SIGNPOST_TOPOLOGY", value_enum, default_value = "declare")]
    topology: TopologyArg,
    /// For tests: the retry tiers' lengths are multiplied by this (more than 0, at most 1). All
    /// services of one broker must agree.
    #[arg(
        long,
        env = "SIGNPOST_TEST_TIME_SCALE",
        default_value_t = 1.0,
        hide = true
    )]
    time_scale: f64,
    /// Largest `data` of an event, in bytes.
    #[arg(long, env = "SIGNPOST_MAX_EVENT_BYTES", default_value_t = 262_144)]
    max_event_bytes: usize,
    /// Events that may wait for fan-out; with more the API answers 503.
    #[arg(long, env = "SIGNPOST_MAX_QUEUED_EVENTS", default_value_t = 1_000_000)]
    max_queued_events: u64,
    /// Most HTTP connections at once; more wait.
    #[arg(long, env = "SIGNPOST_MAX_CONNECTIONS", default_value_t = 4096)]
    max_connections: u32,
    /// How long a stop may take.
    #[arg(long, env = "SIGNPOST_STOP_GRACE", default_value = "20s")]
    stop_grace: String,
    /// What is logged: a level, or `info,signpost_ingest=debug`.
    #[arg(long, env = "SIGNPOST_LOG", default_value = "info")]
    log: String,
    /// How log lines look.
    #[arg(
        long,
        env = "SIGNPOST_LOG_FORMAT",
        value_enum,
        default_value = "pretty"
    )]
    log_format: LogFormatArg,
}

/// What is done about the broker's queues at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TopologyArg {
    /// Declare what is missing.
    Declare,
    /// Refuse to start when something is missing or different.
    Check,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormatArg {
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// The checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Where RabbitMQ is; its `Debug` text holds no password.
    pub broker_url: BrokerUrl,
    /// PostgreSQL's URL; it may hold a password.
    pub database_url: SecretString,
    /// Most connections to PostgreSQL.
    pub database_connections: u32,
    /// Where the API is served.
    pub listen: SocketAddr,
    /// Where metrics and health are served.
    pub admin_listen: SocketAddr,
    /// The administrator's API key.
    pub admin_key: Option<SecretString>,
    /// The key ring; its `Debug` text holds only the keys' names.
    pub master_keys: KeyRing,
    /// Ranges that may be reached although the default rule denies them.
    pub egress_allow: Vec<IpNet>,
    /// Whether endpoints' URLs must be https.
    pub egress_https_only: bool,
    /// Ports that endpoints' URLs may have; empty: every port but those of internal services.
    pub egress_ports: Vec<u16>,
    /// What is done about the broker's queues.
    pub topology: TopologyMode,
    /// The retry tiers.
    pub tiers: Tiers,
    /// Largest `data` of an event, in bytes.
    pub max_event_bytes: usize,
    /// Events that may wait for fan-out.
    pub max_queued_events: u64,
    /// Most HTTP connections at once.
    pub max_connections: u32,
    /// How long a stop may take.
    pub stop_grace: Duration,
    /// The log filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not valid:")?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl Args {
    /// Checks everything and reads the `_FILE` twins.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(self) -> Result<Config, ConfigErrors> {
        let mut problems = Problems(Vec::new());
        let amqp_url = problems.secret("SIGNPOST_AMQP_URL", self.amqp_url, self.amqp_url_file);
        let amqp_url = amqp_url.unwrap_or_else(|| "amqp://guest:guest@127.0.0.1:5672/%2f".into());
        let broker_url = BrokerUrl::parse(amqp_url.expose_secret());
        let broker_url = problems.take("SIGNPOST_AMQP_URL", broker_url);
        let database_url = problems.secret(
            "SIGNPOST_DATABASE_URL",
            self.database_url,
            self.database_url_file,
        );
        let database_url =
            database_url.unwrap_or_else(|| "postgres://signpost@127.0.0.1:5432/signpost".into());
        problems.check_database_url(&database_url);
        let admin_key = problems.secret("SIGNPOST_ADMIN_KEY", self.admin_key, self.admin_key_file);
        if let Some(key) = &admin_key {
            let key = key.expose_secret();
            if key.len() < MIN_ADMIN_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
                problems.add(format!(
                    "SIGNPOST_ADMIN_KEY: at least {MIN_ADMIN_KEY} characters of ASCII without \
                     spaces; `openssl rand -hex 32` makes a good one"
                ));
            }
        }
        let master_keys = problems.secret(
            "SIGNPOST_MASTER_KEYS",
            self.master_keys,
            self.master_keys_file,
        );
        let master_keys = if let Some(text) = &master_keys {
            let ring = KeyRing::parse(text.expose_secret());
            ring.map_err(|error| problems.add(error.to_string())).ok()
        } else {
            problems.add(
                "SIGNPOST_MASTER_KEYS is not set: it encrypts signing secrets at rest. Make one \
                 with `echo \"k1:$(openssl rand -base64 32)\"` and give all services the same",
            );
            None
        };
        let egress_allow = problems.list("SIGNPOST_EGRESS_ALLOW", &self.egress_allow);
        let egress_ports = problems.list("SIGNPOST_EGRESS_PORTS", &self.egress_ports);
        if !(self.time_scale > 0.0 && self.time_scale <= 1.0) {
            problems.add("SIGNPOST_TEST_TIME_SCALE: above 0 and at most 1");
        }
        if !(1..=MAX_EVENT_BYTES).contains(&self.max_event_bytes) {
            problems.add(format!("SIGNPOST_MAX_EVENT_BYTES: 1 to {MAX_EVENT_BYTES}"));
        }
        if self.max_connections == 0 {
            problems.add("SIGNPOST_MAX_CONNECTIONS: at least 1");
        }
        if self.database_connections < 2 {
            problems.add("SIGNPOST_DATABASE_CONNECTIONS: at least 2");
        }
        let stop_grace =
            signpost_domain::parse_duration(&self.stop_grace).unwrap_or_else(|error| {
                problems.add(format!("SIGNPOST_STOP_GRACE: {error}"));
                Duration::ZERO
            });
        let (Some(broker_url), Some(master_keys), true) =
            (broker_url, master_keys, problems.0.is_empty())
        else {
            return Err(ConfigErrors(problems.0));
        };
        Ok(Config {
            broker_url,
            database_url,
            database_connections: self.database_connections,
            listen: self.listen,
            admin_listen: self.admin_listen,
            admin_key,
            master_keys,
            egress_allow,
            egress_https_only: self.egress_https_only,
            egress_ports,
            topology: match self.topology {
                TopologyArg::Declare => TopologyMode::Declare,
                TopologyArg::Check => TopologyMode::Check,
            },
            tiers: Tiers::scaled(self.time_scale),
            max_event_bytes: self.max_event_bytes,
            max_queued_events: self.max_queued_events,
            max_connections: self.max_connections,
            stop_grace,
            log: self.log,
            log_format: match self.log_format {
                LogFormatArg::Pretty => LogFormat::Pretty,
                LogFormatArg::Json => LogFormat::Json,
            },
        })
    }
}

struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    fn secret(
        &mut self,
        name: &'static str,
        value: Option<String>,
        file: Option<PathBuf>,
    ) -> Option<SecretString> {
        // An empty variable is how a shell or a compose file says "unset".
        let value = value.filter(|value| !value.is_empty());
        secret::read(name, value.as_deref(), file.as_deref()).unwrap_or_else(|error| {
            self.add(error_chain(&error).to_string());
            None
        })
    }

    fn take<T, E: fmt::Display>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|error| self.add(format!("{name}: {error}")))
            .ok()
    }

    fn check_database_url(&mut self, url: &SecretString) {
        let is_right = url::Url::parse(url.expose_secret())
            .is_ok_and(|url| ["postgres", "postgresql"].contains(&url.scheme()));
        if !is_right {
            self.add("SIGNPOST_DATABASE_URL: a URL such as postgres://user@host:5432/database");
        }
    }

    fn list<T: std::str::FromStr>(&mut self, name: &str, texts: &[String]) -> Vec<T>
    where
        T::Err: fmt::Display,
    {
        let mut values = Vec::new();
        for text in texts.iter().map(|text| text.trim()) {
            if text.is_empty() {
                continue;
            }
            match text.parse() {
                Ok(value) => values.push(value),
                Err(error) => self.add(format!("{name}: {text:?}: {error}")),
            }
        }
        values
    }
}

impl Config {
    /// Logs the configuration, without secrets: the first line of the log.
    pub fn log_effective(&self) {
        tracing::info!(
            amqp_url = ?self.broker_url,
            database_url = redact_url(&self.database_url),
            database_connections = self.database_connections,
            listen = %self.listen,
            admin_listen = %self.admin_listen,
            admin_key = is_set(self.admin_key.as_ref()),
            master_keys = ?self.master_keys,
            egress_allow = ?self.egress_allow,
            egress_https_only = self.egress_https_only,
            egress_ports = ?self.egress_ports,
            topology = ?self.topology,
            time_scale = self.tiers.scale(),
            max_event_bytes = self.max_event_bytes,
            max_queued_events = self.max_queued_events,
            max_connections = self.max_connections,
            stop_grace = signpost_domain::format_duration(self.stop_grace),
            "configuration"
        );
    }
}

fn is_set(secret: Option<&SecretString>) -> &'static str {
    if secret.is_some() { "set" } else { "not set" }
}

/// The URL without its password and its query, which may hold one too.
fn redact_url(url: &SecretString) -> String {
    let Ok(mut url) = url::Url::parse(url.expose_secret()) else {
        return "not a URL".to_owned();
    };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "not shown".to_owned();
    }
    url.set_query(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "--master-keys=k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn args(flags: &[&str]) -> Args {
        Args::try_parse_from(["signpost-ingest"].iter().chain(flags)).unwrap()
    }

    #[test]
    fn the_defaults_are_the_contract_s() {
        let config = args(&[KEYS]).check().unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.admin_listen.to_string(), "127.0.0.1:9090");
        assert_eq!(
            redact_url(&"postgres://user:hunter2@host/db?password=hunter2".into()),
            "postgres://user:***@host/db"
        );
        assert_eq!(config.max_event_bytes, 262_144);
        assert!(config.egress_https_only && config.egress_ports.is_empty());
    }

    #[test]
    fn reports_all_problems_at_once_and_no_secret() {
        let errors = args(&[
            "--amqp-url=http://user:hunter2@host",
            "--database-url=mysql://hunter2",
            "--master-keys=hunter2",
            "--admin-key=short",
            "--admin-key-file=/nowhere",
            "--egress-allow=127.0.0.0/8,10.0.0.0/99",
            "--egress-ports=443,70000",
            "--max-event-bytes=0",
            "--stop-grace=soon",
        ])
        .check()
        .unwrap_err();
        assert_eq!(errors.0.len(), 8, "{errors}");
        let text = errors.to_string();
        assert!(
            !text.contains("hunter2") && !text.contains("short"),
            "{text}"
        );
    }

    #[test]
    fn lists_are_split_at_commas() {
        let config = args(&[
            KEYS,
            "--egress-allow=127.0.0.0/8, ::1/128",
            "--egress-https-only=false",
            "--egress-ports=443,8443",
        ])
        .check()
        .unwrap();
        assert_eq!(config.egress_allow.len(), 2);
        assert_eq!(config.egress_ports, [443, 8443]);
        assert!(!config.egress_https_only);
    }
}
