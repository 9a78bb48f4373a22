//! `signpost demo`: every built-in profile once, from event to verified receiver.
//!
//! `./dev up` ends with it. It makes a tenant, starts a receiver in this process, makes an endpoint
//! per profile, publishes one realistic event each (half over HTTP, half over AMQP) and shows what
//! arrived. It says plainly what is missing if something is.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments on options are help texts, shown as they are"
)]

mod board;
mod report;
mod samples;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use http::Method;
use rand::RngExt as _;
use serde_json::{Value, json};
use signpost_domain::{Clock, Event, EventId, EventType, TenantId, parse_duration};
use signpost_testkit::{Receiver, Reply};
use signpost_wire::{Scope, Signature};

use crate::amqp::EventPublisher;
use crate::client::{Call, Client};
use crate::commands::events::event_json;
use crate::commands::text;
use crate::config::Environment;
use crate::error::{CliError, Result};
use crate::output::Output;
use crate::receive::Checker;
use board::{Board, Part, Via};
use samples::{FLAKY, SAMPLES, Sample};

/// How long a new endpoint may be unknown to the dispatchers (contract: up to 1 s), with room.
const DIRECTORY_LAG: Duration = Duration::from_millis(1500);

const EXAMPLES: &str = "\
Examples:
  signpost demo --server http://127.0.0.1:8080 --key $SIGNPOST_ADMIN_KEY --amqp $SIGNPOST_AMQP_URL
  signpost demo --json

Signpost must be allowed to reach this machine: SIGNPOST_EGRESS_ALLOW=127.0.0.0/8 and
SIGNPOST_EGRESS_HTTPS_ONLY=false, as `./dev up` sets them.";

/// One event through every built-in profile, verified.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// RabbitMQ, for the half of the events that goes over AMQP [env: SIGNPOST_AMQP_URL]
    #[arg(long, value_name = "URL")]
    amqp: Option<String>,
    /// How long to wait for everything to arrive
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    patience: Duration,
}

/// What the demo works with.
pub struct Tools<'t> {
    /// The API, with an admin key.
    pub client: &'t Client,
    /// The tenant, where the user named one.
    pub tenant: Option<String>,
    /// Where to write.
    pub out: &'t mut Output,
    /// For the default of `--amqp`.
    pub env: &'t Environment,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Demo {
    /// Runs it.
    pub async fn run(self, tools: Tools<'_>) -> Result<()> {
        let Tools {
            client,
            tenant,
            out,
            env,
            clock,
        } = tools;
        let amqp = self
            .amqp
            .as_deref()
            .or_else(|| env.get("SIGNPOST_AMQP_URL"));
        let spinner = out.progress(None, "making a tenant and its endpoints");
        let publisher = match amqp {
            Some(url) => Some(EventPublisher::connect(url).await?),
            None => None,
        };
        let tenant = make_tenant(client, tenant).await?;
        let receiver = Receiver::builder().keep(0).start().await?;
        let mut parts = Vec::new();
        for (index, sample) in SAMPLES.iter().chain([&FLAKY]).enumerate() {
            let is_flaky = index == SAMPLES.len();
            let via = if index % 2 == 1 && publisher.is_some() {
                Via::Amqp
            } else {
                Via::Http
            };
            let path = if is_flaky {
                "/fails-twice".to_owned()
            } else {
                format!("/{}", sample.profile)
            };
            let url = receiver.url_of(&path);
            let checker = make_endpoint(client, &tenant, sample, &url, is_flaky).await?;
            parts.push(Part::new(*sample, path, via, is_flaky, checker));
        }
        let board = Arc::new(Board::new(parts));
        let watcher = Arc::clone(&board);
        receiver.answer_with(move |request| Reply::status(watcher.note(request)));

        spinner.say("waiting until the dispatchers know the endpoints");
        tokio::time::sleep(DIRECTORY_LAG).await;
        for index in 0..board.len() {
            spinner.say(format!("publishing ({} of {})", index + 1, board.len()));
            publish(client, publisher.as_ref(), &tenant, &board, index, &clock).await?;
        }
        let deadline = Instant::now() + self.patience;
        wait(client, &tenant, &board, deadline, |text| spinner.say(text)).await?;
        drop(spinner);
        if let Some(publisher) = publisher {
            publisher.close().await;
        }
        report::show(&tenant, &board, amqp.is_some(), out)?;
        let missing = report::missing(client, &tenant, &board).await?;
        if missing.is_empty() {
            return Ok(());
        }
        Err(CliError::Failed(format!(
            "not everything arrived within {} s:\n  {}",
            self.patience.as_secs(),
            missing.join("\n  ")
        )))
    }
}

/// The tenant `demo`, or `demo-2`, … where the earlier ones have endpoints already.
async fn make_tenant(client: &Client, named: Option<String>) -> Result<String> {
    if let Some(tenant) = named {
        put_tenant(client, &tenant).await?;
        return Ok(tenant);
    }
    for number in 1.. {
        let tenant = if number == 1 {
            "demo".to_owned()
        } else {
            format!("demo-{number}")
        };
        put_tenant(client, &tenant).await?;
        let call = Call::get(["tenants", &tenant, "endpoints"]);
        if client.list(call, 1).await?.items.is_empty() {
            return Ok(tenant);
        }
    }
    Err(CliError::Failed("every demo tenant is in use".to_owned()))
}

async fn put_tenant(client: &Client, tenant: &str) -> Result<()> {
    let call = Call::new(Method::PUT, ["tenants", tenant]).json(&json!({ "name": "Demo" }));
    client.send(call).await.map(drop)
}

/// Makes an endpoint for the sample's own event type, and gives what verifies its requests.
async fn make_endpoint(
    client: &Client,
    tenant: &str,
    sample: &Sample,
    url: &str,
    is_flaky: bool,
) -> Result<Checker> {
    let unchecked = Checker::new(sample.profile, &[])?;
    let profile = unchecked.profile();
    let signature = profile.signature();
    let is_tenant_scope = signature.is_some_and(|signature| signature.scope() == Scope::Tenant);
    let name = if is_flaky {
        format!("{} (fails twice)", sample.profile)
    } else {
        sample.profile.to_owned()
    };
    let mut body = json!({
        "name": name, "url": url, "events": [sample.event_type], "profile": sample.profile,
    });
    // Where a signature is optional, it is there only if a secret was set.
    if signature.is_some_and(|signature| !Signature::is_required(signature)) {
        let secret = profile.generate_secret(&rand::rng().random());
        body["secret"] = secret.as_str().into();
    }
    let call = Call::post(["tenants", tenant, "endpoints"]).json(&body);
    let endpoint = client.send(call).await?.value()?;
    let secret = if is_tenant_scope {
        client
            .send(Call::get(["tenants", tenant, "secret"]))
            .await?
            .value()?
    } else {
        endpoint
    };
    Checker::new(sample.profile, &[text(&secret, "/secret")])
}

async fn publish(
    client: &Client,
    publisher: Option<&EventPublisher>,
    tenant: &str,
    board: &Board,
    index: usize,
    clock: &Arc<dyn Clock>,
) -> Result<()> {
    let now = clock.now();
    let id = EventId::generate(now, rand::rng().random());
    let (sample, via) = board.begin(index, id.as_str());
    let (Via::Amqp, Some(publisher)) = (via, publisher) else {
        let body = event_json(sample.event_type, Some(id.as_str()), None, sample.data);
        let call = Call::post(["tenants", tenant, "events"]).raw_json(body);
        return client.send(call).await.map(drop);
    };
    let event = Event {
        tenant: TenantId::parse(tenant).map_err(anyhow::Error::from)?,
        id,
        event_type: EventType::parse(sample.event_type).map_err(anyhow::Error::from)?,
        occurred_at: now,
        data: Bytes::from_static(sample.data.as_bytes()),
    };
    publisher.publish(&event).await
}

/// Waits until every part has arrived and the ledger says so too, or the time is over.
async fn wait(
    client: &Client,
    tenant: &str,
    board: &Board,
    deadline: Instant,
    say: impl Fn(String),
) -> Result<()> {
    loop {
        let arrived = board.arrived();
        say(format!("{arrived} of {} arrived and verified", board.len()));
        if arrived == board.len() {
            for (index, event_id) in board.without_ledger() {
                if let Some(delivery) = find_delivery(client, tenant, &event_id).await? {
                    board.note_ledger(index, &delivery);
                }
            }
            if board.without_ledger().is_empty() {
                return Ok(());
            }
        }
        if Instant::now() > deadline {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The one delivery of an event, as the ledger has it.
async fn find_delivery(client: &Client, tenant: &str, event_id: &str) -> Result<Option<Value>> {
    let call = Call::get(["tenants", tenant, "deliveries"]).query("event_id", Some(event_id));
    Ok(client.list(call, 1).await?.values().next())
}
