//! The API, its key, its clock, and the admin listeners of the services.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{Request, header};
use signpost_domain::Clock;
use url::Url;

use super::check::Check;
use crate::client::{Answer, Call, Client, Transport};
use crate::commands::text;
use crate::config::Connection;
use crate::error::CliError;
use crate::output::{clean, shorten};

/// A clock that is further off than this breaks signatures at receivers (they allow 5 minutes).
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(30);
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn look(
    client: &Client,
    connection: &Connection,
    clock: &Arc<dyn Clock>,
) -> Vec<Check> {
    let what = format!("API {}", connection.server);
    let answer = match client.send(Call::get(["me"])).await {
        Ok(answer) => answer,
        Err(error) => return vec![refused(what, &error)],
    };
    let me = answer.value().unwrap_or_default();
    let role = text(&me, "/role");
    if role.is_empty() {
        let to_do = "check --server: another program answers there";
        return vec![Check::bad(
            what,
            "it answers, but not as Signpost does",
            to_do,
        )];
    }
    let tenant = match text(&me, "/tenant") {
        tenant if tenant.is_empty() => "every tenant".to_owned(),
        tenant => format!("tenant {tenant}"),
    };
    let mut checks = vec![Check::ok(
        what,
        format!("the key is of role {role}, for {tenant}"),
    )];
    checks.extend(api_clock(&answer, clock));
    checks
}

fn refused(what: String, error: &CliError) -> Check {
    let found = error.to_string();
    let found = found.lines().next().unwrap_or_default();
    let to_do = match error {
        CliError::Unreachable { .. } => {
            "start signpost-ingest, or name its address with --server or SIGNPOST_SERVER"
        }
        CliError::Problem(problem) if problem.status == 401 => {
            "give a valid key with --key or SIGNPOST_KEY; an admin makes one with `signpost keys create`"
        }
        CliError::Problem(problem) if problem.status >= 500 => "look at the log of signpost-ingest",
        _ => "check --server: another program may answer there",
    };
    Check::bad(what, found, to_do)
}

/// Compares the server's `Date` with this machine's clock.
fn api_clock(answer: &Answer, clock: &Arc<dyn Clock>) -> Option<Check> {
    let date = answer.headers.get(header::DATE)?.to_str().ok()?;
    let theirs = DateTime::parse_from_rfc2822(date).ok()?.to_utc();
    Some(compare_clocks("API clock", theirs, clock.now()))
}

/// Says how far two clocks are apart.
pub(super) fn compare_clocks(what: &str, theirs: DateTime<Utc>, ours: DateTime<Utc>) -> Check {
    let apart = (ours - theirs).abs();
    let found = format!("{} s from this machine's clock", apart.num_seconds());
    if apart <= CLOCK_TOLERANCE {
        return Check::ok(what, found);
    }
    Check::bad(
        what,
        found,
        "set both clocks by NTP (timedatectl set-ntp true): receivers refuse signatures that are \
         minutes off",
    )
}

/// Asks an admin listener whether its service is ready.
pub(super) async fn readiness(admin: &str) -> Check {
    let what = format!("service at {admin}");
    let Ok(url) = Url::parse(admin).and_then(|url| url.join("/readyz")) else {
        return Check::bad(what, "this is no URL", "write --admin http://HOST:PORT");
    };
    let answer = Transport::default()
        .send(&url, Request::new(Bytes::new()), PATIENCE)
        .await;
    match answer {
        Ok(answer) if answer.status().is_success() => Check::ok(what, "ready"),
        Ok(answer) => {
            let body = String::from_utf8_lossy(answer.body()).into_owned();
            let found = format!("not ready: {}", clean(shorten(body.trim(), 300).as_ref()));
            let to_do = "the checks below and the service's log say more";
            Check::bad(what, found, to_do)
        }
        Err(CliError::Unreachable { reason, .. }) => Check::bad(
            what,
            reason,
            "start the service, or name its admin listener (SIGNPOST_ADMIN_LISTEN) with --admin",
        ),
        Err(error) => Check::bad(what, error.to_string(), ""),
    }
}
