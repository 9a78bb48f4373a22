//! `signpost profiles`: wire profiles, and checking one without a server.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use signpost_wire::{Profile, Signature};

use super::input::read_file;
use super::{App, Paging, text};
use crate::client::{Call, check_id};
use crate::error::{CliError, Result};
use crate::output::Column;

/// Profiles say what a request looks like and how it is signed.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the built-in and the stored profiles
    List(Paging),
    /// Show a profile's document
    #[command(after_help = "Example:\n  signpost profiles show license-manager > mine.json")]
    Show {
        /// Its name
        name: String,
    },
    /// Store a profile of your own (admin)
    #[command(visible_aliases = ["create", "update"])]
    #[command(after_help = "Example:\n  signpost profiles put mine mine.json")]
    Put {
        /// Its name
        name: String,
        /// Its document
        file: PathBuf,
    },
    /// Remove a stored profile that no endpoint uses (admin)
    Delete {
        /// Its name
        name: String,
    },
    /// Check a profile document here, without a server
    #[command(after_help = "Example:\n  signpost profiles check mine.json")]
    Check {
        /// The document
        file: PathBuf,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        match self {
            Self::List(paging) => {
                let columns = [
                    Column::whole("NAME"),
                    Column::whole("BUILT IN"),
                    Column::extra("SIGNATURE HEADER"),
                    Column::extra("ALGORITHM"),
                    Column::extra("SUCCESS"),
                    Column::extra("TIMEOUT"),
                    Column::wrapped("DESCRIPTION"),
                ];
                app.list(Call::get(["profiles"]), &paging, &columns, |item| {
                    // The document is the item itself or its part `profile`.
                    let part = |name: &str| {
                        let nested = text(item, &format!("/document{name}"));
                        if nested.is_empty() {
                            text(item, name)
                        } else {
                            nested
                        }
                    };
                    [
                        part("/name").into(),
                        if part("/built_in") == "true" {
                            "yes"
                        } else {
                            "-"
                        }
                        .into(),
                        part("/signature/header").into(),
                        part("/signature/algorithm").into(),
                        part("/success").into(),
                        part("/timeout").into(),
                        part("/description").into(),
                    ]
                })
                .await
            }
            Self::Show { name } => {
                let answer = app.call(Call::get(["profiles", check_id(&name)?])).await?;
                app.out.json(&answer.body)
            }
            Self::Put { name, file } => {
                let document = read_file(&file)?;
                let path = ["profiles", check_id(&name)?];
                let call = Call::new(Method::PUT, path).raw_json(document);
                let answer = app.call(call).await?;
                app.done(&answer, format!("profile {name} is stored"))
            }
            Self::Delete { name } => {
                let answer = app
                    .call(Call::delete(["profiles", check_id(&name)?]))
                    .await?;
                app.done(&answer, format!("profile {name} is removed"))
            }
            Self::Check { file } => {
                let profile = read_profile(&file)?;
                let signature = profile
                    .signature()
                    .map_or("none".to_owned(), Signature::expected_form);
                app.out
                    .line(format!("{}: a valid profile", file.display()))?;
                app.out.line(format!("signature  {signature}"))
            }
        }
    }
}

/// Reads a profile document from a file; every problem of it is in the error.
pub fn read_profile(file: &std::path::Path) -> Result<Profile> {
    let text = String::from_utf8(read_file(file)?)
        .map_err(|_cause| CliError::Usage(format!("{} is not text", file.display())))?;
    Profile::parse(&text).map_err(|error| {
        let problems: Vec<_> = error
            .problems()
            .iter()
            .map(|p| {
                format!(
                    "\n  {}: {}",
                    if p.pointer.is_empty() {
                        "(all)"
                    } else {
                        &p.pointer
                    },
                    p.detail
                )
            })
            .collect();
        CliError::Failed(format!(
            "{} is no valid profile:{}",
            file.display(),
            problems.concat()
        ))
    })
}
