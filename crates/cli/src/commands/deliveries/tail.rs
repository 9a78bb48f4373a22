//! `signpost deliveries tail`: new deliveries and every change of them, as they happen.
//!
//! The API is asked once a second for the newest ones. What was seen waiting is remembered, up to
//! a limit, so that its end is shown too.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::Filter;
use crate::client::Call;
use crate::commands::{App, text};
use crate::error::{CliError, Result};
use crate::output::{Tone, clean, time};

/// Most waiting deliveries that are asked for one by one in each round.
const ASKED_SINGLY: usize = 20;
/// Most deliveries that are remembered.
const REMEMBERED: usize = 20_000;

/// What to follow.
#[derive(Debug, Args)]
pub struct Tail {
    /// Which
    #[command(flatten)]
    filter: Filter,
    /// Show this many of the latest ones first
    #[arg(long, value_name = "N", default_value_t = 10)]
    last: usize,
    /// Ask this often
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = signpost_domain::parse_duration)]
    every: Duration,
    /// End after this many lines
    #[arg(long, value_name = "N", hide_short_help = true)]
    lines: Option<usize>,
}

/// What was last shown of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    status: String,
    attempts: String,
    round: u64,
}

impl Tail {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        let mut seen: HashMap<String, Seen> = HashMap::new();
        let mut left = self.lines.unwrap_or(usize::MAX);
        for round in 0_u64.. {
            let most = if round == 0 { self.last.max(1) } else { 250 };
            let call = self.filter.call(&tenant);
            let mut found: Vec<Value> = match app.client.list(call, most).await {
                Ok(listing) => listing.values().collect(),
                // A server that restarts is no reason to stop watching.
                Err(error @ CliError::Unreachable { .. }) if round > 0 => {
                    app.out.talk(format!("{error}"))?;
                    tokio::time::sleep(self.every.max(Duration::from_secs(1))).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            found.reverse(); // Oldest first.
            if round > 0 {
                self.ask_singly(app, &tenant, &seen, &mut found).await?;
            }
            for delivery in &found {
                if left > 0 && note(&mut seen, delivery, round) && (round > 0 || self.last > 0) {
                    show(app, delivery)?;
                    left -= 1;
                }
            }
            if left == 0 {
                return Ok(());
            }
            if seen.len() > REMEMBERED {
                seen.retain(|_, entry| round - entry.round < 60);
            }
            tokio::time::sleep(self.every).await;
        }
        Ok(())
    }

    /// Waiting deliveries that newer ones have pushed off the page.
    async fn ask_singly(
        &self,
        app: &App<'_>,
        tenant: &str,
        seen: &HashMap<String, Seen>,
        found: &mut Vec<Value>,
    ) -> Result<()> {
        let mut waiting: Vec<_> = seen
            .iter()
            .filter(|(id, entry)| {
                matches!(entry.status.as_str(), "pending" | "held")
                    && !found.iter().any(|delivery| delivery["id"] == id.as_str())
            })
            .collect();
        waiting.sort_by_key(|(_, entry)| entry.round);
        for (id, _) in waiting.into_iter().take(ASKED_SINGLY) {
            match app
                .client
                .send(Call::get(["tenants", tenant, "deliveries", id]))
                .await
            {
                Ok(answer) => found.push(answer.value()?),
                Err(CliError::Problem(_) | CliError::Unreachable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Remembers a delivery and says whether there is something new about it.
fn note(seen: &mut HashMap<String, Seen>, delivery: &Value, round: u64) -> bool {
    let entry = Seen {
        status: text(delivery, "/status"),
        attempts: text(delivery, "/attempt_count"),
        round,
    };
    let before = seen.insert(text(delivery, "/id"), entry.clone());
    before.is_none_or(|before| (before.status, before.attempts) != (entry.status, entry.attempts))
}

fn show(app: &mut App<'_>, delivery: &Value) -> Result<()> {
    if app.out.is_json() {
        return app.out.json_line(delivery);
    }
    let status = text(delivery, "/status");
    let padded = format!("{status:9}");
    let status = match Tone::of_status(&status) {
        Some(tone) => app.out.paint(tone, &padded),
        None => clean(&padded).into_owned(),
    };
    let changed = ["/finished_at", "/last_attempt_at", "/created_at"]
        .iter()
        .map(|pointer| text(delivery, pointer))
        .find(|time| !time.is_empty())
        .unwrap_or_default();
    let mut line = format!(
        "{}  {status}  {}  {}  {}",
        time(&changed),
        clean(&text(delivery, "/id")),
        clean(&text(delivery, "/event_type")),
        clean(&text(delivery, "/endpoint_id")),
    );
    let attempts = text(delivery, "/attempt_count");
    if attempts != "0" && !attempts.is_empty() {
        line += "  attempt ";
        line += &attempts;
    }
    let code = text(delivery, "/last_status_code");
    if !code.is_empty() {
        line += "  ";
        line += &code;
    }
    let next = text(delivery, "/next_attempt_at");
    if !next.is_empty() {
        line += "  next ";
        line += &time(&next);
    }
    app.out.line(line)
}
