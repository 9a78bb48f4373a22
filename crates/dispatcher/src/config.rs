//! The dispatcher's configuration: environment variables and flags, read once at start. The only
//! file of this crate that knows of either.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use signpost_domain::{format_duration, parse_duration};
use signpost_runtime::{secret, telemetry::LogFormat};

use crate::housekeeping::Retention;

/// What is kept for a shorter time may be gone before anybody has looked at it.
const SHORTEST_RETENTION: Duration = Duration::from_secs(60);
/// Probes more often than this would be load.
const SHORTEST_PROBE: Duration = Duration::from_secs(1);

/// Fans events out to endpoints, signs, posts and retries. Any number of replicas may run.
///
/// Each secret may also be given in a file, by the variable with `_FILE` appended.
#[derive(Debug, Parser)]
#[command(name = "signpost-dispatcher", version, max_term_width = 100)]
pub struct Args {
    /// RabbitMQ; the path is the virtual host (`%2f` is `/`).
    #[arg(long, env = "SIGNPOST_AMQP_URL", hide_env_values = true)]
    amqp_url: Option<String>,
    /// File that holds the RabbitMQ URL.
    #[arg(long, env = "SIGNPOST_AMQP_URL_FILE")]
    amqp_url_file: Option<PathBuf>,
    /// PostgreSQL, 15 or later.
    #[arg(long, env = "SIGNPOST_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// File that holds the PostgreSQL URL.
    #[arg(long, env = "SIGNPOST_DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
    /// Where metrics and health are served.
    #[arg(long, env = "SIGNPOST_ADMIN_LISTEN", default_value = "127.0.0.1:9091")]
    admin_listen: SocketAddr,
    /// Keys that encrypt secrets at rest: `kid:base64[,kid:base64…]`, the first is primary.
    #[arg(long, env = "SIGNPOST_MASTER_KEYS", hide_env_values = true)]
    master_keys: Option<String>,
    /// File that holds the master keys.
    #[arg(long, env = "SIGNPOST_MASTER_KEYS_FILE")]
    master_keys_file: Option<PathBuf>,
    /// Address ranges (CIDR) that may be reached although the default rule denies them.
    #[arg(long, env = "SIGNPOST_EGRESS_ALLOW", value_delimiter = ',')]
    egress_allow: Vec<IpNet>,
    /// Refuse `http://` URLs.
    #[arg(long, env = "SIGNPOST_EGRESS_HTTPS_ONLY", default_value_t = true, action = clap::ArgAction::Set)]
    egress_https_only: bool,
    /// Ports that may be reached; empty: every port but those of well-known internal services.
    #[arg(long, env = "SIGNPOST_EGRESS_PORTS", value_delimiter = ',')]
    egress_ports: Vec<u16>,
    /// Messages taken from a queue before the first of them is acked; fewer while they are large.
    #[arg(long, env = "SIGNPOST_PREFETCH", default_value_t = 1000)]
    prefetch: u16,
    /// Attempts at once, over all endpoints.
    #[arg(long, env = "SIGNPOST_MAX_IN_FLIGHT", default_value_t = 1000)]
    max_in_flight: usize,
    /// Attempts at once per endpoint.
    #[arg(long, env = "SIGNPOST_ENDPOINT_IN_FLIGHT", default_value_t = 16)]
    endpoint_in_flight: usize,
    /// Declare exchanges and queues, or only check them.
    #[arg(long, env = "SIGNPOST_TOPOLOGY", value_enum, default_value_t = TopologyArg::Declare)]
    topology: TopologyArg,
    /// Largest event data, in bytes.
    #[arg(long, env = "SIGNPOST_MAX_EVENT_BYTES", default_value_t = 262_144)]
    max_event_bytes: usize,
    /// How long events, deliveries and attempts are kept: `30d`.
    #[arg(long, env = "SIGNPOST_RETENTION", default_value = "30d")]
    retention: String,
    /// How long events' data and receivers' answers are kept: `7d`.
    #[arg(long, env = "SIGNPOST_BODY_RETENTION", default_value = "7d")]
    body_retention: String,
    /// How often a probe is sent the whole way, for `signpost_e2e_delivery_age_seconds`; `off`: never.
    #[arg(long, env = "SIGNPOST_PROBE_EVERY", default_value = "10s")]
    probe_every: String,
    /// What is logged: a level, or `level,crate=level`.
    #[arg(long, env = "SIGNPOST_LOG", default_value = "info")]
    log: String,
    /// How it is logged.
    #[arg(long, env = "SIGNPOST_LOG_FORMAT", value_enum, default_value_t = LogFormatArg::Pretty)]
    log_format: LogFormatArg,
    /// For tests: all retry delays and tiers are multiplied by this (more than 0, at most 1).
    #[arg(
        long,
        env = "SIGNPOST_TEST_TIME_SCALE",
        default_value_t = 1.0,
        hide = true
    )]
    time_scale: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TopologyArg {
    Declare,
    Check,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormatArg {
    Pretty,
    Json,
}

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// RabbitMQ's URL, with its password.
    pub amqp_url: SecretString,
    /// PostgreSQL's URL, with its password.
    pub database_url: SecretString,
    /// Where metrics and health are served.
    pub admin_listen: SocketAddr,
    /// The key ring for secrets at rest, unread.
    pub master_keys: Option<SecretString>,
    /// Ranges that egress may reach in addition.
    pub egress_allow: Vec<IpNet>,
    /// Whether `http://` is refused.
    pub egress_https_only: bool,
    /// Ports that egress may reach; empty for the default rule.
    pub egress_ports: Vec<u16>,
    /// Prefetch of each consumer.
    pub prefetch: u16,
    /// Attempts at once.
    pub max_in_flight: usize,
    /// Attempts at once per endpoint.
    pub endpoint_in_flight: usize,
    /// Whether the topology is declared, or only checked.
    pub declare_topology: bool,
    /// Largest event data in bytes.
    pub max_event_bytes: usize,
    /// How long things are kept.
    pub retention: Retention,
    /// How often a probe is sent; `None` for never.
    pub probe_every: Option<Duration>,
    /// Log filter.
    pub log: String,
    /// Log format.
    pub log_format: LogFormat,
    /// Multiplies all retry delays and tiers; 1 in production.
    pub time_scale: f64,
    /// How long a stop may take.
    pub grace: Duration,
}

impl Args {
    /// Checks the arguments.
    ///
    /// # Errors
    /// Every problem, one text each.
    pub fn check(self) -> Result<Config, Vec<String>> {
        let mut problems = Vec::new();
        let mut secret =
            |name, value: Option<&str>, file: Option<&PathBuf>, default: Option<&str>| {
                match secret::read(name, value, file.map(PathBuf::as_path)) {
                    Ok(found) => found.or_else(|| default.map(SecretString::from)),
                    Err(error) => {
                        problems.push(signpost_runtime::error_chain(&error).to_string());
                        None
                    }
                }
            };
        let amqp_url = secret(
            "SIGNPOST_AMQP_URL",
            self.amqp_url.as_deref(),
            self.amqp_url_file.as_ref(),
            Some("amqp://guest:guest@127.0.0.1:5672/%2f"),
        );
        let database_url = secret(
            "SIGNPOST_DATABASE_URL",
            self.database_url.as_deref(),
            self.database_url_file.as_ref(),
            Some("postgres://signpost@127.0.0.1:5432/signpost"),
        );
        let master_keys = secret(
            "SIGNPOST_MASTER_KEYS",
            self.master_keys.as_deref(),
            self.master_keys_file.as_ref(),
            None,
        );
        let amqp_url = amqp_url.unwrap_or_default();
        let database_url = database_url.unwrap_or_default();
        check_scheme(
            "SIGNPOST_AMQP_URL",
            &amqp_url,
            &["amqp", "amqps"],
            &mut problems,
        );
        check_scheme(
            "SIGNPOST_DATABASE_URL",
            &database_url,
            &["postgres", "postgresql"],
            &mut problems,
        );
        for (name, value) in [
            ("SIGNPOST_PREFETCH", usize::from(self.prefetch)),
            ("SIGNPOST_MAX_IN_FLIGHT", self.max_in_flight),
            ("SIGNPOST_ENDPOINT_IN_FLIGHT", self.endpoint_in_flight),
        ] {
            if !(1..=65_535).contains(&value) {
                problems.push(format!("{name} is {value}: it must be between 1 and 65535"));
            }
        }
        if self.endpoint_in_flight > self.max_in_flight {
            problems
                .push("SIGNPOST_ENDPOINT_IN_FLIGHT is more than SIGNPOST_MAX_IN_FLIGHT".to_owned());
        }
        let mut kept = |name: &str, text: &str| {
            let kept = parse_duration(text).map_err(|error| error.to_string());
            kept.and_then(|kept| {
                let is_long_enough = kept >= SHORTEST_RETENTION;
                is_long_enough.then_some(kept).ok_or_else(|| {
                    let least = format_duration(SHORTEST_RETENTION);
                    format!("{text} is too short: at least {least}")
                })
            })
            .unwrap_or_else(|problem| {
                problems.push(format!("{name}: {problem}"));
                SHORTEST_RETENTION
            })
        };
        let retention = Retention {
            rows: kept("SIGNPOST_RETENTION", &self.retention),
            bodies: kept("SIGNPOST_BODY_RETENTION", &self.body_retention),
        };
        let probe_every = read_probe_every(&self.probe_every).unwrap_or_else(|problem| {
            problems.push(format!("SIGNPOST_PROBE_EVERY: {problem}"));
            None
        });
        if !(self.time_scale > 0.0 && self.time_scale <= 1.0) {
            problems.push("SIGNPOST_TEST_TIME_SCALE must be more than 0 and at most 1".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Config {
            amqp_url,
            database_url,
            admin_listen: self.admin_listen,
            master_keys,
            egress_allow: self.egress_allow,
            egress_https_only: self.egress_https_only,
            egress_ports: self.egress_ports,
            prefetch: self.prefetch,
            max_in_flight: self.max_in_flight,
            endpoint_in_flight: self.endpoint_in_flight,
            declare_topology: matches!(self.topology, TopologyArg::Declare),
            max_event_bytes: self.max_event_bytes,
            retention,
            probe_every,
            log: self.log,
            log_format: match self.log_format {
                LogFormatArg::Pretty => LogFormat::Pretty,
                LogFormatArg::Json => LogFormat::Json,
            },
            time_scale: self.time_scale,
            // The longest timeout that a profile may have, and time to record what it gave.
            grace: signpost_domain::policy::MAX_TIMEOUT + Duration::from_secs(5),
        })
    }
}

/// `None` for `off`.
fn read_probe_every(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" {
        return Ok(None);
    }
    let every = parse_duration(text).map_err(|error| error.to_string())?;
    if every < SHORTEST_PROBE {
        let least = format_duration(SHORTEST_PROBE);
        return Err(format!("{text} is too short: at least {least}, or off"));
    }
    Ok(Some(every))
}

fn check_scheme(name: &str, url: &SecretString, schemes: &[&str], problems: &mut Vec<String>) {
    let scheme = url
        .expose_secret()
        .split_once("://")
        .map(|(scheme, _)| scheme);
    if !scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
        problems.push(format!(
            "{name} must begin with {}://",
            schemes.join(":// or ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(flags: &[&str]) -> Result<Config, Vec<String>> {
        let words = std::iter::once("signpost-dispatcher").chain(flags.iter().copied());
        Args::try_parse_from(words).unwrap().check()
    }

    #[test]
    fn has_the_documented_defaults() {
        let config = check(&[]).unwrap();
        assert_eq!(
            (
                config.prefetch,
                config.max_in_flight,
                config.endpoint_in_flight
            ),
            (1000, 1000, 16)
        );
        assert_eq!(config.max_event_bytes, 262_144);
        assert!(config.egress_https_only && config.declare_topology);
        assert_eq!(config.probe_every, Some(Duration::from_secs(10)));
        assert_eq!(check(&["--probe-every", "off"]).unwrap().probe_every, None);
    }

    #[test]
    fn reports_all_problems_at_once() {
        let problems = check(&[
            "--amqp-url",
            "http://a",
            "--database-url",
            "mysql://a",
            "--prefetch",
            "0",
            "--retention",
            "a while",
            "--body-retention",
            "1s",
            "--probe-every",
            "1ms",
        ])
        .unwrap_err();
        assert_eq!(problems.len(), 6, "{problems:?}");
    }

    #[test]
    fn no_secret_is_in_the_debug_text() {
        let config = check(&["--amqp-url", "amqp://u:hush@h/"]).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
