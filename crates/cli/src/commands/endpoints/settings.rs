//! The settings of an endpoint as flags, and the request body they make.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::commands::{parse_header, parse_json, parse_pair, read_json, secret_of};
use crate::error::{CliError, Result, usage};

/// Whether an endpoint gets its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Status {
    /// Deliveries are sent
    Active,
    /// Deliveries are held
    Paused,
    /// Nothing is sent
    Disabled,
}

/// What can be set; everything that is not given stays out of the request.
#[derive(Debug, Args)]
pub struct Settings {
    /// A JSON object to start from: JSON, @FILE or -; the other options override its fields
    #[arg(long, value_name = "JSON|@FILE|-")]
    from: Option<String>,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// Where to send
    #[arg(long)]
    url: Option<String>,
    /// An event type or pattern (`*`, `post.*`, `*.created`); may be given several times
    #[arg(long = "event", value_name = "PATTERN")]
    events: Vec<String>,
    /// Conditions on the data: JSON, @FILE or -
    #[arg(long, value_name = "JSON|@FILE|-")]
    filter: Option<String>,
    /// The wire profile [default: standard-webhooks]
    #[arg(long)]
    profile: Option<String>,
    /// The signing secret; without one, a strong one is made (none with `--set secret=null`, where the
    /// profile allows it)
    #[arg(long, conflicts_with = "secret_file")]
    secret: Option<String>,
    /// A file that holds the signing secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Take a secret of fewer than 16 characters all the same
    #[arg(long)]
    force: bool,
    /// A header sent with each request; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// Retry after these waits: 10s,100s
    #[arg(
        long,
        value_name = "WAITS",
        value_delimiter = ',',
        conflicts_with = "retry"
    )]
    delays: Vec<String>,
    /// The retry policy as JSON: {"exponential":{"base":"1s","factor":2,"max":"1h","retries":10}}
    #[arg(long, value_name = "JSON|@FILE|-")]
    retry: Option<String>,
    /// How long an attempt may take: 10s
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Most requests a second
    #[arg(long, value_name = "N")]
    rate_limit: Option<String>,
    /// Something to remember; may be given several times
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,
    /// Whether deliveries are sent
    #[arg(long)]
    status: Option<Status>,
    /// Any other field of the API: NAME=JSON; may be given several times
    #[arg(long = "set", value_name = "NAME=JSON", value_parser = parse_pair)]
    set: Vec<(String, String)>,
}

impl Settings {
    /// The request body; fields in `clear` become `null`.
    pub(super) fn body(&self, clear: &[String]) -> Result<Value> {
        let mut body = match &self.from {
            None => Map::new(),
            Some(from) => match read_json(from, "--from")? {
                Value::Object(map) => map,
                _ => return usage("--from must be a JSON object"),
            },
        };
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        let texts = [
            ("name", &self.name),
            ("url", &self.url),
            ("profile", &self.profile),
            ("timeout", &self.timeout),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                put(name, json!(value));
            }
        }
        if !self.events.is_empty() {
            put("events", json!(self.events));
        }
        if let Some(filter) = &self.filter {
            put("filter", read_json(filter, "the filter")?);
        }
        if let Some(secret) = secret_of(self.secret.clone(), self.secret_file.as_deref())? {
            put("secret", json!(secret));
        }
        if self.force {
            put("force", json!(true));
        }
        if !self.headers.is_empty() {
            put("headers", pairs(&self.headers));
        }
        if !self.delays.is_empty() {
            put("retry", json!({ "delays": self.delays }));
        }
        if let Some(retry) = &self.retry {
            put("retry", read_json(retry, "the retry policy")?);
        }
        if let Some(limit) = &self.rate_limit {
            put("rate_limit", parse_json(limit));
        }
        if !self.metadata.is_empty() {
            put("metadata", pairs(&self.metadata));
        }
        if let Some(status) = self.status.and_then(|status| status.to_possible_value()) {
            put("status", json!(status.get_name()));
        }
        for (name, value) in &self.set {
            put(name, parse_json(value));
        }
        for name in clear {
            put(name, Value::Null);
        }
        if body.is_empty() {
            return Err(CliError::Usage(
                "nothing is given; `--help` lists what can be set".to_owned(),
            ));
        }
        Ok(Value::Object(body))
    }
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect::<Map<_, _>>()
        .into()
}
