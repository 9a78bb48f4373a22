//! `signpost rejected`: AMQP messages that could not be read.

use clap::Subcommand;

use super::{App, Paging, text};
use crate::client::{Call, check_id};
use crate::error::Result;
use crate::output::{Column, shorten, time};

/// Messages that could not be read wait here with their reason (admin).
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List them
    #[command(after_help = "Example:\n  signpost rejected list --reason bad_json")]
    List {
        /// Only those with this reason
        #[arg(long)]
        reason: Option<String>,
        /// How many
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one whole
    Show {
        /// Its id
        id: String,
    },
    /// Put messages back where they came from, to be tried again
    #[command(after_help = "Example:\n  signpost rejected requeue 17 18")]
    Requeue {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Remove messages for good
    #[command(visible_alias = "delete")]
    Drop {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        match self {
            Self::List { reason, paging } => {
                let columns = [
                    Column::whole("ID"),
                    Column::whole("REASON"),
                    Column::extra("REJECTED (UTC)"),
                    Column::wrapped("ROUTING KEY"),
                    Column::extra("BYTES"),
                    Column::wrapped("DETAIL"),
                ];
                let call = Call::get(["rejected"]).query("reason", reason);
                app.list(call, &paging, &columns, |item| {
                    [
                        text(item, "/id").into(),
                        text(item, "/reason").into(),
                        time(&text(item, "/rejected_at")).into(),
                        text(item, "/routing_key").into(),
                        text(item, "/size").into(),
                        shorten(&text(item, "/detail"), 200).as_ref().into(),
                    ]
                })
                .await
            }
            Self::Show { id } => {
                let answer = app.call(Call::get(["rejected", check_id(&id)?])).await?;
                app.show(&answer)
            }
            Self::Requeue { ids } => {
                app.each(&ids, "requeueing", |id| {
                    Call::post(["rejected", id, "requeue"])
                })
                .await
            }
            Self::Drop { ids } => {
                app.each(&ids, "dropping", |id| Call::delete(["rejected", id]))
                    .await
            }
        }
    }
}
