//! `signpost endpoints`.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments on options are help texts, shown as they are"
)]

mod settings;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::{App, Paging, read_source, text};
use crate::client::{Call, check_id};
use crate::error::{CliError, Result};
use crate::output::{Column, Tone, clean, pretty_or_text, time};
use settings::Settings;

const CREATE_EXAMPLES: &str = "\
Examples:
  signpost endpoints create --name Billing --url https://example.com/hooks --event 'license.*'
  signpost endpoints create --name Posts --url https://example.com/posts --event 'post.*' \\
      --filter '{\"status\":\"published\"}' --profile core-api --secret-file secret.txt
  signpost endpoints create --name Slow --url https://example.com/slow --event '*' \\
      --delays 10s,100s --timeout 30s --header 'X-Team: billing'";

/// Endpoints are URLs that get the events they subscribe to.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List endpoints
    List(Paging),
    /// Show an endpoint
    Show {
        /// Its id
        id: String,
    },
    /// Make an endpoint; its secret is shown
    #[command(after_help = CREATE_EXAMPLES)]
    Create(Box<Settings>),
    /// Change an endpoint: only what is given
    #[command(after_help = "Examples:\n  \
        signpost endpoints update ep_01h455vb4pex5vsknk084sn02q --event 'license.*' --event 'release.*'\n  \
        signpost endpoints update ep_01h455vb4pex5vsknk084sn02q --clear filter")]
    Update {
        /// Its id
        id: String,
        /// What to change
        #[command(flatten)]
        settings: Box<Settings>,
        /// Set a field back to nothing: filter, retry, timeout, rate_limit
        #[arg(long, value_name = "FIELD")]
        clear: Vec<String>,
    },
    /// Remove an endpoint; what is waiting for it is discarded
    Delete {
        /// Its id
        id: String,
    },
    /// Hold its deliveries until it is resumed
    Pause {
        /// Its id
        id: String,
    },
    /// Send again, what was held oldest first
    #[command(visible_alias = "enable")]
    Resume {
        /// Its id
        id: String,
    },
    /// Send nothing any more; what matches is discarded
    Disable {
        /// Its id
        id: String,
    },
    /// Send one test request now and show the answer
    #[command(after_help = "Example:\n  \
        signpost endpoints test ep_01h455vb4pex5vsknk084sn02q --type post.created --data '{\"test\":true}'")]
    Test {
        /// Its id
        id: String,
        /// The event type to test with
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// The data to test with: JSON, @FILE or - for standard input
        #[arg(long, value_name = "JSON|@FILE|-")]
        data: Option<String>,
    },
    /// Send all failed and held deliveries again, at a bounded rate
    #[command(after_help = "Example:\n  \
        signpost endpoints recover ep_01h455vb4pex5vsknk084sn02q --since 24h --wait")]
    Recover(Recover),
    /// Show which endpoints would get an event, and why the others would not
    #[command(after_help = "Example:\n  \
        signpost endpoints preview license.created --data '{\"plan\":\"gold\"}'")]
    Preview {
        /// The event type
        #[arg(value_name = "TYPE")]
        event_type: String,
        /// The data: JSON, @FILE or - for standard input
        #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
        data: String,
    },
}

/// What to recover.
#[derive(Debug, Args)]
pub struct Recover {
    /// The endpoint's id
    id: String,
    /// From when on: a time or how long ago
    #[arg(long, value_name = "TIME")]
    since: String,
    /// Until when
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Wait until all of them have ended, with a progress bar
    #[arg(long)]
    wait: bool,
}

impl Command {
    /// Runs it.
    pub async fn run(self, app: &mut App<'_>) -> Result<()> {
        let tenant = app.tenant.clone();
        let all = ["tenants", tenant.as_str(), "endpoints"];
        let one = |id| -> Result<Vec<&str>> {
            Ok(vec!["tenants", tenant.as_str(), "endpoints", check_id(id)?])
        };
        let below = |id, more| -> Result<Vec<&str>> {
            let mut path = one(id)?;
            path.push(more);
            Ok(path)
        };
        match &self {
            Self::List(paging) => {
                let columns = [
                    Column::whole("ID"),
                    Column::whole("STATUS"),
                    Column::wrapped("NAME"),
                    Column::wrapped("URL"),
                    Column::wrapped("EVENTS"),
                    Column::extra("PROFILE"),
                    Column::extra("UPDATED (UTC)"),
                ];
                app.list(Call::get(all), paging, &columns, |item| {
                    [
                        text(item, "/id").into(),
                        text(item, "/status").into(),
                        text(item, "/name").into(),
                        text(item, "/url").into(),
                        text(item, "/events").into(),
                        text(item, "/profile").into(),
                        time(&text(item, "/updated_at")).into(),
                    ]
                })
                .await
            }
            Self::Show { id } => {
                let answer = app.call(Call::get(one(id)?)).await?;
                app.show(&answer)
            }
            Self::Create(settings) => {
                let body = settings.body(&[])?;
                let answer = app.call(Call::post(all).json(&body)).await?;
                app.show(&answer)
            }
            Self::Update {
                id,
                settings,
                clear,
            } => {
                let body = settings.body(clear)?;
                let answer = app
                    .call(Call::new(Method::PATCH, one(id)?).json(&body))
                    .await?;
                app.show(&answer)
            }
            Self::Delete { id } => {
                let answer = app.call(Call::delete(one(id)?)).await?;
                app.done(&answer, format!("endpoint {id} is removed"))
            }
            Self::Pause { id } => set_status(app, one(id)?, "paused").await,
            Self::Resume { id } => set_status(app, one(id)?, "active").await,
            Self::Disable { id } => set_status(app, one(id)?, "disabled").await,
            Self::Test {
                id,
                event_type,
                data,
            } => {
                let call = Call::post(below(id, "test")?);
                test(app, call, event_type.as_deref(), data.as_deref()).await
            }
            Self::Recover(recover) => recover.run(app, &tenant).await,
            Self::Preview { event_type, data } => {
                let body = typed_data(Some(event_type), Some(data))?;
                let mut path = all.to_vec();
                path.push("preview");
                preview(app, Call::post(path).raw_json(body)).await
            }
        }
    }
}

async fn set_status(app: &mut App<'_>, path: Vec<&str>, status: &str) -> Result<()> {
    let body = json!({ "status": status });
    let answer = app.call(Call::new(Method::PATCH, path).json(&body)).await?;
    app.show(&answer)
}

/// `{"type":…,"data":…}` with the data byte for byte.
fn typed_data(event_type: Option<&str>, data: Option<&str>) -> Result<String> {
    let mut fields = Vec::new();
    if let Some(event_type) = event_type {
        fields.push(format!("\"type\":{}", json!(event_type)));
    }
    if let Some(data) = data {
        fields.push(format!("\"data\":{}", checked_data(data)?));
    }
    Ok(format!("{{{}}}", fields.join(",")))
}

/// The data that `text` means, as JSON text.
pub(super) fn checked_data(text: &str) -> Result<String> {
    let bytes = read_source(text)?;
    signpost_domain::event::check_data(&bytes).map_err(|error| {
        let hint = if text.starts_with(['@', '-', '{', '[', '"']) {
            ""
        } else {
            "; a file is given as @FILE"
        };
        CliError::Usage(format!("the data is not usable: {error}{hint}"))
    })?;
    String::from_utf8(bytes).map_err(|_cause| CliError::Usage("the data is not UTF-8".to_owned()))
}

async fn test(
    app: &mut App<'_>,
    call: Call<'_>,
    event_type: Option<&str>,
    data: Option<&str>,
) -> Result<()> {
    let body = typed_data(event_type, data)?;
    let spinner = app.out.progress(None, "waiting for the receiver");
    let answer = app.call(call.raw_json(body)).await;
    drop(spinner);
    let answer = answer?;
    let value = answer.value()?;
    let success = value["success"] == true;
    if app.out.is_json() {
        app.out.json(&answer.body)?;
    } else {
        let (tone, word) = if success {
            (Tone::Good, "succeeded")
        } else {
            (Tone::Bad, "failed")
        };
        let mut line = app.out.paint(tone, word);
        for (before, pointer, after) in [
            ("status ", "/status_code", ""),
            ("after ", "/duration_ms", " ms"),
            ("", "/error", ""),
            ("recorded as ", "/delivery_id", ""),
        ] {
            let found = text(&value, pointer);
            if !found.is_empty() {
                line.extend(["  ", before, &clean(&found), after]);
            }
        }
        app.out.line(line)?;
        let body = text(&value, "/response_body");
        if !body.is_empty() {
            app.out.line(pretty_or_text(body.as_bytes()))?;
        }
    }
    if success {
        Ok(())
    } else {
        Err(CliError::Failed("the test send failed".to_owned()))
    }
}

async fn preview(app: &mut App<'_>, call: Call<'_>) -> Result<()> {
    let answer = app.call(call).await?;
    if app.out.is_json() {
        return app.out.json(&answer.body);
    }
    let value = answer.value()?;
    let mut table = crate::output::Table::new([
        Column::whole("ENDPOINT"),
        Column::whole("GETS IT"),
        Column::wrapped("NAME"),
        Column::wrapped("WHY NOT"),
    ]);
    for item in preview_items(&value) {
        let matches = item["matches"] == true;
        table.row([
            text(item, "/endpoint_id").into(),
            if matches { "yes" } else { "no" }.into(),
            text(item, "/name").into(),
            text(item, "/reason").into(),
        ]);
    }
    if table.is_empty() {
        return app.out.talk("the tenant has no endpoints");
    }
    app.out.table(table)
}

fn preview_items(value: &Value) -> impl Iterator<Item = &Value> {
    let items = value
        .get("items")
        .or_else(|| value.get("endpoints"))
        .unwrap_or(value);
    items.as_array().into_iter().flatten()
}

impl Recover {
    async fn run(&self, app: &mut App<'_>, tenant: &str) -> Result<()> {
        let now = app.clock.now();
        let mut body = json!({ "since": super::paging::moment(&self.since, now)? });
        if let Some(until) = &self.until {
            body["until"] = super::paging::moment(until, now)?.into();
        }
        let path = [
            "tenants",
            tenant,
            "endpoints",
            check_id(&self.id)?,
            "recover",
        ];
        let answer = app.call(Call::post(path).json(&body)).await?;
        let count = answer.value()?["deliveries"].as_u64().unwrap_or(0);
        app.done(&answer, format!("{count} deliveries are sent again"))?;
        if self.wait && count > 0 {
            super::deliveries::wait_until_ended(app, &self.id, count).await?;
        }
        Ok(())
    }
}
