//! `signpost events`: send, list, replay.

mod batch;
mod replay;

use clap::Subcommand;
use serde_json::json;

use super::endpoints::checked_data;
use super::{App, Paging, Window, text};
use crate::client::{Call, check_id};
use crate::error::{Result, usage};
use crate::output::{Column, time};

/// Events are facts; each is brought to every endpoint that wants its type.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publish an event
    #[command(after_help = "Examples:\n  \
        signpost events send license.created --data '{\"id\":1,\"key\":\"ABC-123\"}'\n  \
        signpost events send license.created --data @license.json --id order-4711\n  \
        echo '{\"a\":1}' | signpost events send post.created --data -\n  \
        signpost events send license.created --example")]
    Send {
        /// The event type
        #[arg(value_name = "TYPE")]
        event_type: String,
        /// The data: JSON, @FILE or - for standard input; sent on byte for byte
        #[arg(
            long,
            short,
            value_name = "JSON|@FILE|-",
            required_unless_present = "example"
        )]
        data: Option<String>,
        /// The event's id, which makes repeating this command harmless
        #[arg(long)]
        id: Option<String>,
        /// When it happened [default: now]
        #[arg(long, value_name = "TIME")]
        occurred_at: Option<String>,
        /// Send data made from the event type's schema
        #[arg(long, conflicts_with = "data")]
        example: bool,
    },
    /// Publish the events of a file: one JSON object a line, or a JSON array
    #[command(after_help = batch::EXAMPLES)]
    SendBatch(batch::SendBatch),
    /// List events, newest first
    #[command(after_help = "Example:\n  signpost events list --type license.created --since 2h")]
    List {
        /// Only this event type
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// From when to when
        #[command(flatten)]
        window: Window,
        /// How many
        #[command(flatten)]
        paging: Paging,
    },
    /// Show an event with its data
    Show {
        /// Its id
        id: String,
    },
    /// List the deliveries of an event
    Deliveries {
        /// The event's id
        id: String,
        /// How many
        #[command(flatten)]
        paging: Paging,
    },
    /// Deliver events once more, to one endpoint or to all that match
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Replay),
}

impl Command {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        match self {
            Self::Send {
                event_type,
                data,
                id,
                occurred_at,
                example,
            } => {
                let data = match data {
                    Some(data) => checked_data(&data)?,
                    None if example => super::event_types::example_of(app, &event_type).await?,
                    None => return usage("give --data or --example"),
                };
                let body = event_json(&event_type, id.as_deref(), occurred_at.as_deref(), &data);
                let call = Call::post(["tenants", &tenant, "events"]).raw_json(body);
                let answer = app.call(call).await?;
                if app.out.is_json() {
                    return app.out.json(&answer.body);
                }
                app.out.talk(format!("{event_type} is accepted"))?;
                app.out.line(text(&answer.value()?, "/id"))
            }
            Self::SendBatch(command) => command.run(app).await,
            Self::List {
                event_type,
                window,
                paging,
            } => {
                let (since, until) = window.resolve(&app.clock)?;
                let call = Call::get(["tenants", &tenant, "events"])
                    .query("type", event_type)
                    .query("since", since)
                    .query("until", until);
                let columns = [
                    Column::whole("ID"),
                    Column::wrapped("TYPE"),
                    Column::whole("OCCURRED (UTC)"),
                ];
                app.list(call, &paging, &columns, |item| {
                    [
                        text(item, "/id").into(),
                        text(item, "/type").into(),
                        time(&text(item, "/occurred_at")).into(),
                    ]
                })
                .await
            }
            Self::Show { id } => {
                let answer = app
                    .call(Call::get(["tenants", &tenant, "events", check_id(&id)?]))
                    .await?;
                app.show(&answer)
            }
            Self::Deliveries { id, paging } => {
                let call = Call::get(["tenants", &tenant, "events", check_id(&id)?, "deliveries"]);
                super::deliveries::list(app, call, &paging).await
            }
            Self::Replay(command) => command.run(app).await,
        }
    }
}

/// The body of a publish, with the data byte for byte.
pub fn event_json(
    event_type: &str,
    id: Option<&str>,
    occurred_at: Option<&str>,
    data: &str,
) -> String {
    let mut fields = vec![format!("\"type\":{}", json!(event_type))];
    fields.extend(id.map(|id| format!("\"id\":{}", json!(id))));
    fields.extend(occurred_at.map(|time| format!("\"occurred_at\":{}", json!(time))));
    fields.push(format!("\"data\":{data}"));
    format!("{{{}}}", fields.join(","))
}
