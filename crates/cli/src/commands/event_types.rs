//! `signpost event-types`: the catalogue.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use http::Method;
use serde_json::{Map, Value};

use super::input::read_file;
use super::{App, Paging, read_json, text};
use crate::client::{Call, check_id};
use crate::error::{CliError, Result};
use crate::example;
use crate::output::{Column, time};

/// What happens to data that does not fit the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Validation {
    /// It is not checked
    Off,
    /// It is taken, and counted
    Warn,
    /// It is refused
    Reject,
}

/// Event types have a name, a description and a JSON Schema of their data.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the catalogue
    List(Paging),
    /// Show an event type with its schema
    Show {
        /// Its name: license.created
        name: String,
    },
    /// Add an event type, or replace it
    #[command(visible_aliases = ["create", "update"])]
    #[command(after_help = "Example:\n  \
        signpost event-types put license.created --schema @license.schema.json --validation reject")]
    Put {
        /// The type: license.created
        name: String,
        /// A name for people
        #[arg(long, value_name = "NAME")]
        title: Option<String>,
        /// A sentence for people
        #[arg(long)]
        description: Option<String>,
        /// JSON Schema of the data: JSON, @FILE or - for standard input
        #[arg(long, value_name = "JSON|@FILE|-")]
        schema: Option<String>,
        /// What happens to data that does not fit
        #[arg(long)]
        validation: Option<Validation>,
    },
    /// Remove an event type from the catalogue
    Delete {
        /// Its name
        name: String,
    },
    /// Add all event types of a catalogue file
    #[command(after_help = "Example:\n  signpost event-types import deploy/catalogs/privato.json")]
    Import {
        /// The file
        file: PathBuf,
    },
    /// Print data that fits an event type's schema
    #[command(after_help = "Example:\n  signpost event-types example license.created")]
    Example {
        /// Its name
        name: String,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        let one = |name| -> Result<[&str; 4]> {
            Ok(["tenants", &tenant, "event-types", check_id(name)?])
        };
        match &self {
            Self::List(paging) => {
                let columns = [
                    Column::whole("TYPE"),
                    Column::whole("VALIDATION"),
                    Column::whole("SCHEMA"),
                    Column::extra("UPDATED (UTC)"),
                    Column::wrapped("DESCRIPTION"),
                ];
                let call = Call::get(["tenants", &tenant, "event-types"]);
                app.list(call, paging, &columns, |item| {
                    let has_schema = item.get("schema").is_some_and(|schema| !schema.is_null());
                    [
                        text(item, "/type").into(),
                        text(item, "/validation").into(),
                        if has_schema { "yes" } else { "-" }.into(),
                        time(&text(item, "/updated_at")).into(),
                        text(item, "/description").into(),
                    ]
                })
                .await
            }
            Self::Show { name } => {
                let answer = app.call(Call::get(one(name)?)).await?;
                app.show(&answer)
            }
            Self::Put {
                name,
                title,
                description,
                schema,
                validation,
            } => {
                let mut body = Map::new();
                if let Some(title) = title {
                    body.insert("name".into(), title.as_str().into());
                }
                if let Some(description) = description {
                    body.insert("description".into(), description.as_str().into());
                }
                if let Some(schema) = schema {
                    body.insert("schema".into(), read_json(schema, "the schema")?);
                }
                if let Some(validation) = validation.and_then(|v| v.to_possible_value()) {
                    body.insert("validation".into(), validation.get_name().into());
                }
                let call = Call::new(Method::PUT, one(name)?).json(&Value::Object(body));
                let answer = app.call(call).await?;
                app.show(&answer)
            }
            Self::Delete { name } => {
                let answer = app.call(Call::delete(one(name)?)).await?;
                app.done(&answer, format!("event type {name} is removed"))
            }
            Self::Import { file } => {
                let body = read_file(file)?;
                let spinner = app.out.progress(None, "importing");
                let call = Call::post(["tenants", &tenant, "event-types", "import"]).raw_json(body);
                let answer = app.call(call).await;
                drop(spinner);
                app.show(&answer?)
            }
            Self::Example { name } => {
                let data = example_of(app, name).await?;
                app.out.json(data.as_bytes())
            }
        }
    }
}

/// Data that fits the schema of an event type of the catalogue.
pub async fn example_of(app: &App<'_>, name: &str) -> Result<String> {
    let path = ["tenants", &app.tenant, "event-types", check_id(name)?];
    let answer = app.client.send(Call::get(path)).await?.value()?;
    match answer.get("schema") {
        Some(schema) if !schema.is_null() => Ok(example::from_schema(schema).to_string()),
        _ => Err(CliError::Failed(format!(
            "the event type {name} has no schema to make an example from; give --data"
        ))),
    }
}
