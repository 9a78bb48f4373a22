//! What the demo shows, and what it says about what is missing.

use serde_json::json;

use super::board::{Board, Part};
use super::find_delivery;
use crate::client::Client;
use crate::commands::text;
use crate::error::Result;
use crate::output::{Cell, Column, Output, Table, Tone};
use crate::receive::Verdict;

/// Shows a row per profile.
pub(super) fn show(tenant: &str, board: &Board, has_amqp: bool, out: &mut Output) -> Result<()> {
    let parts = board.snapshot();
    if out.is_json() {
        let rows: Vec<_> = parts.iter().map(as_json).collect();
        let is_complete = parts.iter().all(is_complete);
        let all = json!({ "tenant": tenant, "complete": is_complete, "deliveries": rows });
        return out.json(all.to_string().as_bytes());
    }
    let mut table = Table::new([
        Column::whole("PROFILE"),
        Column::whole("EVENT"),
        Column::whole("VIA"),
        Column::whole("SIGNATURE"),
        Column::whole("ATTEMPTS"),
        Column::whole("LATENCY"),
        Column::extra("EVENT ID"),
    ]);
    for part in &parts {
        let (tone, verdict) = match &part.verdict {
            Some(verdict @ Verdict::Verified(_)) => (Tone::Good, verdict.word()),
            Some(verdict) => (Tone::Bad, verdict.word()),
            None => (Tone::Bad, "nothing came"),
        };
        table.row([
            name(part).into(),
            part.sample.event_type.into(),
            part.via.as_str().into(),
            Cell::toned(tone, verdict),
            part.ledger_attempts
                .unwrap_or(part.attempts.into())
                .to_string()
                .into(),
            part.latency
                .map_or(String::new(), |latency| {
                    format!("{} ms", latency.as_millis())
                })
                .into(),
            part.event_id.as_str().into(),
        ]);
    }
    out.table(table)?;
    let arrived = parts.iter().filter(|part| part.has_arrived()).count();
    out.talk(format!(
        "tenant {tenant}: {arrived} of {} deliveries arrived and verified",
        parts.len()
    ))?;
    if !has_amqp {
        out.talk("(all over HTTP: --amqp or SIGNPOST_AMQP_URL was not given)")?;
    }
    Ok(())
}

fn name(part: &Part) -> String {
    let note = if part.is_flaky { " (fails twice)" } else { "" };
    format!("{}{note}", part.sample.profile)
}

fn is_complete(part: &Part) -> bool {
    part.has_arrived() && part.ledger_attempts.is_some()
}

fn as_json(part: &Part) -> serde_json::Value {
    json!({
        "profile": part.sample.profile,
        "fails_twice": part.is_flaky,
        "event_type": part.sample.event_type,
        "event_id": part.event_id,
        "via": part.via.as_str().to_lowercase(),
        "verified": part.is_verified(),
        "attempts": part.ledger_attempts.unwrap_or(part.attempts.into()),
        "latency_ms": part.latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
    })
}

/// A sentence for each part that is not as it should be, with what the ledger knows.
pub(super) async fn missing(client: &Client, tenant: &str, board: &Board) -> Result<Vec<String>> {
    let mut sentences = Vec::new();
    for part in board.snapshot().iter().filter(|part| !is_complete(part)) {
        let seen = match &part.verdict {
            None => "nothing came".to_owned(),
            Some(Verdict::Refused(error)) => format!("it came, but {error}"),
            Some(Verdict::Verified(_)) if part.latency.is_some() => {
                "it came and verified".to_owned()
            }
            Some(verdict) => format!("it came {} times, {}", part.attempts, verdict.word()),
        };
        let ledger = match find_delivery(client, tenant, &part.event_id).await? {
            None => "the ledger has no delivery of it: is a dispatcher running, and does its log \
                     say why?"
                .to_owned(),
            Some(delivery) => format!(
                "the ledger says {} after {} attempts (`signpost deliveries show {} -t {tenant}`)",
                text(&delivery, "/status"),
                text(&delivery, "/attempt_count"),
                text(&delivery, "/id"),
            ),
        };
        sentences.push(format!(
            "{} {}: {seen}; {ledger}",
            name(part),
            part.sample.event_type
        ));
    }
    Ok(sentences)
}
