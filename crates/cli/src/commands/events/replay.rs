//! `signpost events replay`: deliver again, one event or many.

use clap::Args;
use serde_json::json;

use crate::client::Call;
use crate::commands::{App, Window, text};
use crate::error::{Result, usage};

pub(super) const EXAMPLES: &str = "\
Examples:
  signpost events replay evt_01h455vb4pex5vsknk084sn02q
  signpost events replay evt_01h455vb4pex5vsknk084sn02q --endpoint ep_01h455vb4pex5vsknk084sn02q
  signpost events replay --type license.created --since 2h --yes";

/// Which events, and to whom.
#[derive(Debug, Args)]
pub struct Replay {
    /// The events' ids; without any, --since chooses
    ids: Vec<String>,
    /// Only to this endpoint
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Option<String>,
    /// All events of this type
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "ids")]
    event_type: Option<String>,
    /// From when to when
    #[command(flatten)]
    window: Window,
    /// Do it, where ids are not given one by one
    #[arg(long)]
    yes: bool,
}

impl Replay {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        let ids = if self.ids.is_empty() {
            if self.window.since.is_none() {
                return usage("name the events by id, or choose them with --since");
            }
            let ids = self.find(app, &tenant).await?;
            if ids.is_empty() {
                return app.out.talk("no event matches");
            }
            app.needs_yes(
                self.yes,
                &format!("this delivers {} events again", ids.len()),
            )?;
            ids
        } else {
            self.ids
        };
        let body = match &self.endpoint {
            Some(endpoint) => json!({ "endpoint_id": endpoint }),
            None => json!({}),
        };
        app.each(&ids, "replay", |id| {
            Call::post(["tenants", &tenant, "events", id, "replay"]).json(&body)
        })
        .await
    }

    async fn find(&self, app: &App<'_>, tenant: &str) -> Result<Vec<String>> {
        let (since, until) = self.window.resolve(&app.clock)?;
        let call = Call::get(["tenants", tenant, "events"])
            .query("type", self.event_type.clone())
            .query("since", since)
            .query("until", until);
        let spinner = app.out.progress(None, "looking for events");
        let listing = app.client.list(call, usize::MAX).await?;
        drop(spinner);
        let mut ids: Vec<_> = listing.values().map(|item| text(&item, "/id")).collect();
        ids.reverse(); // Oldest first.
        Ok(ids)
    }
}
