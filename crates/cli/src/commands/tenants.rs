//! `signpost tenants`.

use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::{App, Paging, text};
use crate::client::{Call, check_id};
use crate::error::Result;
use crate::output::{Column, time};

/// Tenants own endpoints, events and deliveries.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List tenants (admin)
    List(Paging),
    /// Show a tenant
    Show {
        /// Its id
        id: String,
    },
    /// Create a tenant, or change its name
    #[command(visible_alias = "update")]
    #[command(after_help = "Example:\n  signpost tenants create acme --name 'Acme GmbH'")]
    Create {
        /// Its id: a-z, 0-9, `_` and `-`, at most 64 characters
        id: String,
        /// A name for people
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove a tenant and everything it owns: endpoints, events, deliveries, keys, secrets
    #[command(visible_alias = "delete")]
    #[command(after_help = "Example:\n  signpost tenants erase acme --yes")]
    Erase {
        /// Its id
        id: String,
        /// Do it: nothing brings it back
        #[arg(long)]
        yes: bool,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        match self {
            Self::List(paging) => {
                let columns = [
                    Column::whole("ID"),
                    Column::wrapped("NAME"),
                    Column::extra("CREATED (UTC)"),
                ];
                app.list(Call::get(["tenants"]), &paging, &columns, |item| {
                    [
                        text(item, "/id").into(),
                        text(item, "/name").into(),
                        time(&text(item, "/created_at")).into(),
                    ]
                })
                .await
            }
            Self::Show { id } => {
                let answer = app.call(Call::get(["tenants", check_id(&id)?])).await?;
                app.show(&answer)
            }
            Self::Create { id, name } => {
                let body = name.map_or_else(|| json!({}), |name| json!({ "name": name }));
                let call = Call::new(Method::PUT, ["tenants", check_id(&id)?]).json(&body);
                let answer = app.call(call).await?;
                app.show(&answer)
            }
            Self::Erase { id, yes } => {
                app.needs_yes(
                    yes,
                    &format!("this erases tenant {id} with everything it owns"),
                )?;
                let answer = app.call(Call::delete(["tenants", check_id(&id)?])).await?;
                app.done(&answer, format!("tenant {id} is erased"))
            }
        }
    }
}
