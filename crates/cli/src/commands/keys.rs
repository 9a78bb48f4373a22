//! `signpost keys`.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{App, Paging, text};
use crate::client::{Call, check_id};
use crate::error::Result;
use crate::output::{Column, time};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Everything, in every tenant
    Admin,
    /// Everything in one tenant
    Manager,
    /// Publish events to one tenant
    Publisher,
    /// One tenant's endpoints and deliveries; expires
    Portal,
}

impl Role {
    /// The word of the API.
    fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Publisher => "publisher",
            Self::Portal => "portal",
        }
    }
}

/// Keys let programs and people in.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List a tenant's keys; the keys themselves are not kept
    List(Paging),
    /// Make a key; it is printed once and never shown again
    #[command(after_help = "Examples:\n  \
        signpost keys create --tenant acme --role publisher\n  \
        export SIGNPOST_KEY=$(signpost keys create --role manager --quiet)\n  \
        signpost keys create --role portal --expires-in 1h")]
    Create {
        /// What it may do
        #[arg(long)]
        role: Role,
        /// How long it is valid: 1h, 30d
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<String>,
    },
    /// Make a key invalid, within a second
    #[command(visible_alias = "delete")]
    #[command(after_help = "Example:\n  signpost keys revoke key_01h455vb4pex5vsknk084sn02q")]
    Revoke {
        /// Its id
        id: String,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        match self {
            Self::List(paging) => {
                let columns = [
                    Column::whole("ID"),
                    Column::whole("ROLE"),
                    Column::extra("CREATED (UTC)"),
                    Column::extra("LAST USED (UTC)"),
                    Column::extra("EXPIRES (UTC)"),
                ];
                app.list(
                    Call::get(["tenants", &tenant, "keys"]),
                    &paging,
                    &columns,
                    |item| {
                        [
                            text(item, "/id").into(),
                            text(item, "/role").into(),
                            time(&text(item, "/created_at")).into(),
                            time(&text(item, "/last_used_at")).into(),
                            time(&text(item, "/expires_at")).into(),
                        ]
                    },
                )
                .await
            }
            Self::Create { role, expires_in } => {
                let mut body = json!({ "role": role.as_str() });
                if let Some(expires_in) = expires_in {
                    body["expires_in"] = expires_in.into();
                }
                let call = Call::post(["tenants", &tenant, "keys"]).json(&body);
                let answer = app.call(call).await?;
                if app.out.is_json() {
                    return app.out.json(&answer.body);
                }
                let key = answer.value()?;
                app.out.talk(format!(
                    "key {} ({}) of tenant {tenant}; it is shown only now:",
                    text(&key, "/id"),
                    role.as_str(),
                ))?;
                app.out.line(text(&key, "/key"))
            }
            Self::Revoke { id } => {
                let call = Call::delete(["keys", check_id(&id)?]);
                let answer = app.call(call).await?;
                app.done(&answer, format!("key {id} is revoked"))
            }
        }
    }
}
