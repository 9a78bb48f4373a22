//! `signpost doctor`: looks at everything Signpost needs, and says what to do where it is not well.
//!
//! It changes nothing. What cannot be looked at (no URL was given) is said, and is no failure.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments on options are help texts, shown as they are"
)]

mod api;
mod broker;
mod check;
mod database;
mod greeting;
mod settings;

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use signpost_domain::Clock;

use crate::args::Global;
use crate::client::Client;
use crate::config::{Connection, Environment};
use crate::error::{CliError, Result};
use crate::output::{Column, Output, Table};
use check::{Check, State};

const EXAMPLES: &str = "\
Examples:
  signpost doctor
  signpost doctor --admin http://127.0.0.1:9090 --admin http://127.0.0.1:9091
  signpost doctor --server https://signpost.example.com --json

Run it where the services run, with their environment, to have everything looked at. Exit code 1
if something is not well.";

/// Where to look.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    /// An admin listener (metrics and health) of ingest or a dispatcher; may be given several times
    #[arg(long = "admin", value_name = "URL", default_values = ["http://127.0.0.1:9090", "http://127.0.0.1:9091"])]
    admins: Vec<String>,
    /// RabbitMQ [env: SIGNPOST_AMQP_URL]
    #[arg(long, value_name = "URL")]
    amqp: Option<String>,
    /// PostgreSQL [env: SIGNPOST_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Doctor {
    /// Runs it.
    pub async fn run(
        self,
        flags: &Global,
        env: &Environment,
        out: &mut Output,
        clock: Arc<dyn Clock>,
    ) -> Result<()> {
        let mut checks = Vec::new();
        let spinner = out.progress(None, "looking");
        match crate::config::resolve(flags, env) {
            Ok(connection) => checks.extend(look_at_api(&connection, &clock).await?),
            Err(error) => checks.push(Check::bad(
                "configuration",
                error.to_string(),
                "see `signpost --help`",
            )),
        }
        spinner.say("looking at the admin listeners");
        for admin in &self.admins {
            checks.push(api::readiness(admin).await);
        }
        spinner.say("looking at the broker");
        let amqp = match &self.amqp {
            Some(url) => Some(url.clone()),
            None => env.secret("SIGNPOST_AMQP_URL")?,
        };
        checks.extend(broker::look(amqp.as_deref()).await);
        spinner.say("looking at the database");
        let url = crate::database::url(self.database.as_deref(), env)?;
        checks.extend(database::look(url, env, &clock).await);
        checks.extend(settings::look(env));
        drop(spinner);
        show(&checks, out)?;
        let bad = checks
            .iter()
            .filter(|check| check.state == State::Bad)
            .count();
        match bad {
            0 => Ok(()),
            1 => Err(CliError::Failed("one thing is not well".to_owned())),
            n => Err(CliError::Failed(format!("{n} things are not well"))),
        }
    }
}

async fn look_at_api(connection: &Connection, clock: &Arc<dyn Clock>) -> Result<Vec<Check>> {
    let client = Client::new(connection)?;
    Ok(api::look(&client, connection, clock).await)
}

fn show(checks: &[Check], out: &mut Output) -> Result<()> {
    if out.is_json() {
        let is_well = checks.iter().all(|check| check.state != State::Bad);
        let all = json!({ "well": is_well, "checks": checks }).to_string();
        return out.json(all.as_bytes());
    }
    let mut table = Table::new([
        Column::whole("WHAT"),
        Column::whole("STATE"),
        Column::wrapped("FOUND"),
    ]);
    for check in checks {
        table.row([
            check.what.as_str().into(),
            check.state.word().into(),
            check.found.as_str().into(),
        ]);
    }
    out.table(table)?;
    for check in checks.iter().filter(|check| !check.to_do.is_empty()) {
        out.line(format!(
            "\n{}: {}",
            check.what,
            crate::output::clean(&check.to_do)
        ))?;
    }
    Ok(())
}
