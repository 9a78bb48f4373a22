//! The command line's grammar: global options and the commands, each in its own file.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments on options are help texts, shown as they are"
)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands;

const AFTER_HELP: &str = "\
Examples:
  signpost endpoints create --name Billing --url https://example.com/hooks --event 'license.*'
  signpost events send license.created --data '{\"id\":1}'
  signpost deliveries tail
  signpost listen --profile privato --secret my-signing-secret --port 9000

Standard output is data, standard error is talk; --json gives the data as JSON.

Exit codes:
  0  done, or ended on request
  1  it was tried and did not work, or a check found something wrong
  2  wrong use of the command line, or a bad configuration
  3  what was named is not there
  4  refused: the key is missing, unknown, or not allowed to do this
  5  the server declined the input, and said why
  6  nobody answers, or the server says \"later\"
  130  interrupted before it was done

Servers can be named in ~/.config/signpost/config.toml:
  default = \"local\"
  [contexts.production]
  server = \"https://signpost.example.com\"
  key_file = \"/run/secrets/signpost\"
  tenant = \"acme\"";

/// Deliver webhooks: manage endpoints, publish events, follow deliveries, receive and verify.
#[derive(Debug, Parser)]
#[command(name = "signpost", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The API's URL [env: SIGNPOST_SERVER] [default: http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// The API key [env: SIGNPOST_KEY, else SIGNPOST_ADMIN_KEY]
    #[arg(long, global = true, value_name = "KEY", conflicts_with = "key_file")]
    pub key: Option<String>,
    /// A file that holds the API key [env: SIGNPOST_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The tenant [env: SIGNPOST_TENANT] [default: default]
    #[arg(long, short, global = true, value_name = "TENANT")]
    pub tenant: Option<String>,
    /// An entry of the configuration file [env: SIGNPOST_CONTEXT]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The configuration file [env: SIGNPOST_CONFIG] [default: ~/.config/signpost/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Give the data as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Sent with a write, so that repeating the command does nothing twice
    #[arg(long, global = true, value_name = "KEY", hide_short_help = true)]
    pub idempotency_key: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tenants: owners of endpoints and events
    #[command(subcommand, visible_alias = "tenant")]
    Tenants(commands::tenants::Command),
    /// API keys of a tenant
    #[command(subcommand, visible_alias = "key")]
    Keys(commands::keys::Command),
    /// Endpoints: URLs that get events
    #[command(subcommand, visible_alias = "endpoint")]
    Endpoints(commands::endpoints::Command),
    /// Signing secrets: show, rotate
    #[command(subcommand, visible_alias = "secret")]
    Secrets(commands::secrets::Command),
    /// Events: send, list, replay
    #[command(subcommand, visible_alias = "event")]
    Events(commands::events::Command),
    /// Deliveries: list, the story of one, follow live, retry
    #[command(subcommand, visible_alias = "delivery")]
    Deliveries(commands::deliveries::Command),
    /// The catalogue of event types and their schemas
    #[command(subcommand, visible_alias = "event-type")]
    EventTypes(commands::event_types::Command),
    /// Wire profiles: what a request looks like and how it is signed
    #[command(subcommand, visible_alias = "profile")]
    Profiles(commands::profiles::Command),
    /// Messages that could not be read
    #[command(subcommand)]
    Rejected(commands::rejected::Command),
    /// Counts and rates of a tenant
    Stats(commands::stats::Stats),
    /// Run a local receiver that verifies and shows each request
    Listen(crate::listen::Listen),
    /// Check the signature of a saved request
    Verify(crate::verify::Verify),
    /// Bring one event through every built-in profile and verify it
    Demo(crate::demo::Demo),
    /// Look at everything Signpost needs, and say what to do where it is not well
    Doctor(crate::doctor::Doctor),
    /// Measure throughput, latency, CPU and memory against the goals
    Bench(Box<crate::bench::Bench>),
    /// Write the completion script of a shell
    Completions(commands::completions::Completions),
    /// Show which server, tenant and key this command line would use
    Config(commands::config::Show),
}
