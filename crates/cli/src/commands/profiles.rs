//! `signpost profiles`: wire profiles, and checking one without a server.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use serde_json::json;
use signpost_domain::DeliveryPolicy;
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
                    [
                        text(item, "/name").into(),
                        if item["built_in"] == true { "yes" } else { "-" }.into(),
                        text(item, "/profile/signature/header").into(),
                        text(item, "/profile/signature/algorithm").into(),
                        text(item, "/profile/success").into(),
                        text(item, "/profile/timeout").into(),
                        text(item, "/description").into(),
                    ]
                })
                .await
            }
            Self::Show { name } => {
                let answer = app.call(Call::get(["profiles", check_id(&name)?])).await?;
                if app.out.is_json() {
                    return app.out.json(&answer.body);
                }
                // The document alone: what `put` takes.
                let stored: Stored<'_> =
                    serde_json::from_slice(&answer.body).map_err(anyhow::Error::from)?;
                app.out.json(stored.profile.get().as_bytes())
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
                let signature = profile.signature().map(Signature::expected_form);
                if app.out.is_json() {
                    let found = json!({ "valid": true, "signature": signature }).to_string();
                    return app.out.json(found.as_bytes());
                }
                app.out
                    .line(format!("{}: a valid profile", file.display()))?;
                app.out.line(format!(
                    "signature  {}",
                    signature.as_deref().unwrap_or("none")
                ))
            }
        }
    }
}

/// The part of the API's answer that is the document.
#[derive(serde::Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    profile: &'a serde_json::value::RawValue,
}

/// Reads a profile document from a file; every problem of it is in the error.
pub fn read_profile(file: &std::path::Path) -> Result<Profile> {
    let text = String::from_utf8(read_file(file)?)
        .map_err(|_cause| CliError::Usage(format!("{} is not text", file.display())))?;
    let refuse = |problems: Vec<(String, String)>| {
        let lines = problems.iter().map(|(pointer, detail)| {
            let pointer = if pointer.is_empty() { "(all)" } else { pointer };
            format!("\n  {pointer}: {detail}")
        });
        let lines: String = lines.collect();
        CliError::Failed(format!("{} is no valid profile:{lines}", file.display()))
    };
    let profile = Profile::parse(&text).map_err(|error| {
        let problems = error.into_problems().into_iter();
        refuse(
            problems
                .map(|problem| (problem.pointer, problem.detail))
                .collect(),
        )
    })?;
    DeliveryPolicy::parse(profile.success(), profile.retry(), profile.timeout()).map_err(
        |found| {
            refuse(
                found
                    .into_iter()
                    .map(|problem| (problem.pointer, problem.detail))
                    .collect(),
            )
        },
    )?;
    Ok(profile)
}
