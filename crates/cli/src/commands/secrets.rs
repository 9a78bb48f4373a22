//! `signpost secrets`: the signing secrets of endpoints, and the tenant's own.

mod reencrypt;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{App, secret_of, text};
use crate::client::{Call, check_id};
use crate::error::Result;
use crate::output::time;

/// Whose secret.
#[derive(Debug, Clone, Args)]
pub struct Owner {
    /// The endpoint; without it, the tenant's own secret, which profiles of scope `tenant` use
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: Option<String>,
}

impl Owner {
    /// The path of the secret, with one more segment if there is one.
    fn path<'p>(&'p self, tenant: &'p str, more: Option<&'p str>) -> Result<Vec<&'p str>> {
        let mut path = vec!["tenants", tenant];
        if let Some(endpoint) = &self.endpoint {
            path.extend(["endpoints", check_id(endpoint)?]);
        }
        path.push("secret");
        path.extend(more);
        Ok(path)
    }
}

/// Secrets sign what is sent; receivers verify with them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a secret
    #[command(after_help = "Examples:\n  \
        signpost secrets show ep_01h455vb4pex5vsknk084sn02q\n  \
        signpost secrets show --tenant acme    (the tenant's own)")]
    Show(Owner),
    /// Replace a secret; the old one goes on signing beside it for a while
    #[command(after_help = "Examples:\n  \
        signpost secrets rotate ep_01h455vb4pex5vsknk084sn02q --overlap 24h\n  \
        signpost secrets rotate ep_01h455vb4pex5vsknk084sn02q --secret-file new-secret.txt")]
    Rotate {
        /// Whose secret
        #[command(flatten)]
        owner: Owner,
        /// The new secret; without one, a strong one is made
        #[arg(long, conflicts_with = "secret_file")]
        secret: Option<String>,
        /// A file that holds the new secret
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Take a secret of fewer than 16 characters all the same
        #[arg(long)]
        force: bool,
        /// How long both sign: 0s to 7d [default: 24h]
        #[arg(long, value_name = "DURATION")]
        overlap: Option<String>,
    },
    /// Encrypt every stored secret with the first master key, after that was changed
    #[command(after_help = reencrypt::EXAMPLES)]
    Reencrypt(reencrypt::Reencrypt),
}

impl Command {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        let answer = match &self {
            // Needs no API: `lib.rs` runs it.
            Self::Reencrypt(_) => return Ok(()),
            Self::Show(owner) => app.call(Call::get(owner.path(&tenant, None)?)).await?,
            Self::Rotate {
                owner,
                secret,
                secret_file,
                force,
                overlap,
            } => {
                let mut body = json!({});
                if let Some(secret) = secret_of(secret.clone(), secret_file.as_deref())? {
                    body["secret"] = secret.into();
                }
                if *force {
                    body["force"] = true.into();
                }
                if let Some(overlap) = overlap {
                    body["overlap"] = overlap.as_str().into();
                }
                let path = owner.path(&tenant, Some("rotate"))?;
                app.call(Call::post(path).json(&body)).await?
            }
        };
        if app.out.is_json() {
            return app.out.json(&answer.body);
        }
        let value = answer.value()?;
        app.out.line(text(&value, "/secret"))?;
        for (label, pointer) in [("public key", "/public_key"), ("JWKS", "/jwks_url")] {
            let found = text(&value, pointer);
            if !found.is_empty() {
                app.out.talk(format!("{label}: {found}"))?;
            }
        }
        let previous = value
            .pointer("/previous")
            .and_then(serde_json::Value::as_array);
        for old in previous.into_iter().flatten() {
            let until = time(&text(old, "/expires_at"));
            app.out
                .talk(format!("a previous secret signs too until {until} (UTC)"))?;
        }
        Ok(())
    }
}
