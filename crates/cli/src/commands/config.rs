//! `signpost config`: what this command line would talk to. Keys are never shown.

use clap::Args;
use serde_json::json;

use super::details;
use crate::args::Global;
use crate::config::{Environment, resolve};
use crate::error::Result;
use crate::output::Output;

/// The server, tenant and key that commands would use, from flags, environment and file.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  signpost config --context production")]
pub struct Show {}

impl Show {
    /// Runs it.
    pub fn run(self, flags: &Global, env: &Environment, out: &mut Output) -> Result<()> {
        let connection = resolve(flags, env)?;
        let shown = json!({
            "server": connection.server.as_str(),
            "tenant": connection.tenant,
            "context": connection.context,
            "key": connection.key.as_ref().map(|_| "(set, not shown)"),
        })
        .to_string();
        if out.is_json() {
            return out.json(shown.as_bytes());
        }
        out.line(details(shown.as_bytes())?)
    }
}
