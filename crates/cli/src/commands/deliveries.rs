//! `signpost deliveries`: list, the story of one, follow live, retry.

mod story;
mod tail;

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use super::{App, Paging, Window, text};
use crate::client::{Call, check_id};
use crate::error::Result;
use crate::output::{Cell, Column, time};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Status {
    /// An attempt is due, now or later
    Pending,
    /// The receiver took it
    Succeeded,
    /// Retries are used up, or the answer is one that is not retried
    Failed,
    /// The endpoint is paused
    Held,
    /// The endpoint is disabled or deleted
    Discarded,
}

/// Which deliveries.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Filter {
    /// Only those to this endpoint
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Option<String>,
    /// Only those of this event
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// Only those of this event type
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only those that stand like this
    #[arg(long)]
    status: Option<Status>,
}

impl Filter {
    /// The list of these deliveries.
    fn call<'c>(&self, tenant: &'c str) -> Call<'c> {
        let status = self.status.and_then(|status| status.to_possible_value());
        Call::get(["tenants", tenant, "deliveries"])
            .query("endpoint_id", self.endpoint.clone())
            .query("event_id", self.event.clone())
            .query("event_type", self.event_type.clone())
            .query("status", status.map(|status| status.get_name().to_owned()))
    }
}

/// A delivery is the duty to bring one event to one endpoint.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List deliveries, newest first
    #[command(after_help = "Examples:\n  \
        signpost deliveries list --status failed --since 24h\n  \
        signpost deliveries list --endpoint ep_01h455vb4pex5vsknk084sn02q --all --json")]
    List {
        /// Which
        #[command(flatten)]
        filter: Filter,
        /// From when to when
        #[command(flatten)]
        window: Window,
        /// How many
        #[command(flatten)]
        paging: Paging,
    },
    /// Show the whole story of a delivery: event, endpoint, every attempt
    #[command(
        after_help = "Example:\n  signpost deliveries show dlv_01h455vb4pex5vsknk084sn02q --full"
    )]
    Show(story::Show),
    /// Follow deliveries as they come and change, until Ctrl-C
    #[command(after_help = "Example:\n  signpost deliveries tail --status failed")]
    Tail(tail::Tail),
    /// Try deliveries again now
    #[command(after_help = "Example:\n  signpost deliveries retry dlv_01h455vb4pex5vsknk084sn02q")]
    Retry {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        match self {
            Self::List {
                filter,
                window,
                paging,
            } => {
                let (since, until) = window.resolve(&app.clock)?;
                let call = filter
                    .call(&tenant)
                    .query("since", since)
                    .query("until", until);
                list(app, call, &paging).await
            }
            Self::Show(show) => show.run(app).await,
            Self::Tail(tail) => tail.run(app).await,
            Self::Retry { ids } => {
                app.each(&ids, "retry", |id| {
                    Call::post(["tenants", &tenant, "deliveries", id, "retry"])
                })
                .await
            }
        }
    }
}

/// Shows a list of deliveries.
pub(super) async fn list(app: &mut App<'_>, call: Call<'_>, paging: &Paging) -> Result<()> {
    app.list(call, paging, &columns(), row).await
}

fn columns() -> [Column; 8] {
    [
        Column::whole("ID"),
        Column::whole("STATUS"),
        Column::wrapped("EVENT TYPE"),
        Column::whole("TRIES"),
        Column::whole("CODE"),
        Column::extra("CREATED (UTC)"),
        Column::extra("NEXT ATTEMPT (UTC)"),
        Column::extra("ENDPOINT"),
    ]
}

fn row(item: &Value) -> [Cell; 8] {
    [
        text(item, "/id").into(),
        text(item, "/status").into(),
        text(item, "/event_type").into(),
        text(item, "/attempt_count").into(),
        text(item, "/last_status_code").into(),
        time(&text(item, "/created_at")).into(),
        time(&text(item, "/next_attempt_at")).into(),
        text(item, "/endpoint_id").into(),
    ]
}

/// Watches an endpoint's deliveries until none is waiting any more.
pub(super) async fn wait_until_ended(app: &mut App<'_>, endpoint: &str, count: u64) -> Result<()> {
    let tenant = app.tenant.clone();
    let bar = app.out.progress(Some(count), "delivering");
    check_id(endpoint)?;
    loop {
        let call = Call::get(["tenants", &tenant, "deliveries"])
            .query("endpoint_id", Some(endpoint))
            .query("status", Some("pending"));
        let most = usize::try_from(count).unwrap_or(usize::MAX);
        let left = app.client.list(call, most).await?.items.len() as u64;
        bar.set(count.saturating_sub(left));
        if left == 0 {
            drop(bar);
            return app.out.talk("none of them is waiting any more");
        }
        // A thousand waiting deliveries are four pages: look less often when there are many.
        let pause = if left > 1000 { 5 } else { 1 };
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
}
