//! The commands that are calls of the API, one file per word, and what they share.

mod details;
mod input;
mod paging;

pub mod completions;
pub mod config;
pub mod deliveries;
pub mod endpoints;
pub mod event_types;
pub mod events;
pub mod keys;
pub mod profiles;
pub mod rejected;
pub mod secrets;
pub mod stats;
pub mod tenants;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use signpost_domain::Clock;

use crate::client::{Answer, Call, Client, check_id};
use crate::error::{CliError, Result, usage};
use crate::output::Output;

pub use details::{details, text};
pub use input::{parse_header, parse_json, parse_pair, read_json, read_source, secret_of};
pub use paging::{Paging, Window};

/// How long one of many calls is repeated while the server says "later".
const EACH_PATIENCE: Duration = Duration::from_secs(60);

/// What every command works with.
pub struct App<'a> {
    /// The API.
    pub client: Client,
    /// The tenant that the command is about.
    pub tenant: String,
    /// `--idempotency-key`.
    pub idempotency_key: Option<String>,
    /// Where to write.
    pub out: &'a mut Output,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl App<'_> {
    /// Makes a call; a write carries `--idempotency-key`.
    pub async fn call(&self, call: Call<'_>) -> Result<Answer> {
        self.client
            .send(call.idempotent(self.idempotency_key.clone()))
            .await
    }

    /// Shows one thing: as JSON as it came, or its fields one a line.
    pub fn show(&mut self, answer: &Answer) -> Result<()> {
        if self.out.is_json() {
            return self.out.json(&answer.body);
        }
        let lines = details(&answer.body)?;
        self.out.line(lines)
    }

    /// Says what was done; with `--json` the answer follows on standard output, if there is one.
    pub fn done(&mut self, answer: &Answer, what: impl AsRef<str>) -> Result<()> {
        self.out.talk(what)?;
        if self.out.is_json() && !answer.body.is_empty() {
            self.out.json(&answer.body)?;
        }
        Ok(())
    }

    /// Fetches and shows a list: a table row per item, or one JSON document with all items.
    pub async fn list<R: Into<Vec<crate::output::Cell>>>(
        &mut self,
        call: Call<'_>,
        paging: &Paging,
        columns: &[crate::output::Column],
        row: impl Fn(&Value) -> R,
    ) -> Result<()> {
        let listing = self.client.list(call, paging.most()).await?;
        if self.out.is_json() {
            let text = serde_json::to_vec(&listing).map_err(anyhow::Error::from)?;
            return self.out.json(&text);
        }
        let mut table = crate::output::Table::new(columns);
        for item in listing.values() {
            table.row(row(&item));
        }
        if table.is_empty() {
            return self.out.talk("nothing there");
        }
        self.out.table(table)?;
        if listing.next_cursor.is_some() {
            self.out.talk("(there are more: --limit N or --all)")?;
        }
        Ok(())
    }

    /// Makes one call for each id, with a progress bar where there are many. Goes on after a call
    /// that was refused, and fails in the end with the number of those.
    pub async fn each<'i>(
        &mut self,
        ids: &'i [String],
        what: &str,
        call: impl Fn(&'i str) -> Call<'i>,
    ) -> Result<()> {
        if let [id] = ids {
            let answer = self.call(call(check_id(id)?)).await?;
            return self.done(&answer, format!("{what} {id}: done"));
        }
        let bar = self.out.progress(Some(ids.len() as u64), what);
        let mut failures = 0;
        for id in ids {
            // These are repeatable: asking twice for the same has the effect of asking once.
            match self
                .client
                .send_patiently(call(check_id(id)?), EACH_PATIENCE)
                .await
            {
                Ok(answer) if self.out.is_json() && !answer.body.is_empty() => {
                    let value = answer.value()?;
                    bar.aside(|| self.out.json_line(&value))?;
                }
                Ok(_) => {}
                Err(error @ (CliError::Problem(_) | CliError::Usage(_))) => {
                    failures += 1;
                    bar.aside(|| self.out.complain(format!("{id}: {error}")))?;
                }
                Err(error) => return Err(error),
            }
            bar.add(1);
        }
        drop(bar);
        self.out.talk(format!(
            "{what}: {} of {} done",
            ids.len() - failures,
            ids.len()
        ))?;
        if failures == 0 {
            return Ok(());
        }
        Err(CliError::Failed(format!(
            "{what}: {failures} of {} did not work",
            ids.len()
        )))
    }

    /// Refuses to go on without `--yes`.
    pub fn needs_yes(&self, yes: bool, what: &str) -> Result<()> {
        if yes {
            Ok(())
        } else {
            usage(format!("{what}; say --yes if that is what you want"))
        }
    }
}
