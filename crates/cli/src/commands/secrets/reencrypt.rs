//! `signpost secrets reencrypt`: after a new master key was put first, brings every stored secret
//! under it. Works on the database directly: no API shows master keys.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments on options are help texts, shown as they are"
)]

use clap::Args;
use serde_json::json;

use crate::config::Environment;
use crate::database::{MASTER_KEYS, describe, master_keys, open, url};
use crate::error::{Result, usage};
use crate::output::Output;

/// Secrets per step, each a short transaction.
const STEP: u32 = 200;

pub(super) const EXAMPLES: &str = "\
To change the master key:
  1. put the new key first: SIGNPOST_MASTER_KEYS=new:BASE64,old:BASE64, and restart the services
  2. signpost secrets reencrypt
  3. take the old key out, and restart the services

Examples:
  signpost secrets reencrypt --database postgres://signpost@127.0.0.1/signpost
  SIGNPOST_MASTER_KEYS_FILE=/run/secrets/keys signpost secrets reencrypt";

/// Encrypt every stored secret with the first master key.
#[derive(Debug, Args)]
pub struct Reencrypt {
    /// PostgreSQL [env: SIGNPOST_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Reencrypt {
    /// Runs it.
    pub async fn run(self, env: &Environment, out: &mut Output) -> Result<()> {
        let Some(url) = url(self.database.as_deref(), env)? else {
            return usage("say which database: --database or SIGNPOST_DATABASE_URL");
        };
        let Some(keys) = master_keys(env)? else {
            return usage(format!("{MASTER_KEYS} is needed, the new key first"));
        };
        let primary = keys.kids().next().unwrap_or_default().to_owned();
        let store = open(url, Some(keys))?;
        let bar = out.progress(None, "encrypting");
        let mut count = 0;
        loop {
            let step = store
                .reencrypt_secrets(STEP)
                .await
                .map_err(|error| describe(&error))?;
            if step == 0 {
                break;
            }
            count += step;
            bar.say(format!("encrypting: {count} done"));
        }
        drop(bar);
        store.close().await;
        if out.is_json() {
            let done = json!({ "reencrypted": count, "key": primary }).to_string();
            return out.json(done.as_bytes());
        }
        out.talk(format!(
            "{count} secrets were encrypted anew; all are under key {primary}"
        ))
    }
}
