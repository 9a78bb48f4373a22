//! How long the dispatcher's own directory takes to match one event among the endpoints of a
//! tenant. Run by `signpost bench`: JSON in (`{"endpoints":10000}`), JSON out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use chrono::DateTime;
use serde_json::json;
use signpost_dispatcher::directory::{
    EndpointEntry, LoadedProfile, Overrides, Secrets, TenantDirectory,
};
use signpost_domain::{
    DeliveryPolicy, EndpointId, EndpointStatus, Event, EventId, EventType, Filter, Pattern,
    TenantId,
};
use signpost_egress::{EgressConfig, Rules, Target};

/// Matches that are timed.
const MATCHES: u32 = 100_000;

fn main() -> Result<()> {
    let config: serde_json::Value = serde_json::from_reader(std::io::stdin())?;
    let endpoints = config["endpoints"]
        .as_u64()
        .context("endpoints is a number")?;
    let profile = load_profile()?;
    let rules = Rules::new(&EgressConfig::default());
    let mut directory = TenantDirectory::new(1, Secrets::default(), HashMap::new());
    for number in 0..endpoints {
        let (entry, patterns) = entry(number, &profile, &rules)?;
        directory.add(entry, &patterns);
    }
    let events = (0..1000).map(|number| event(number * endpoints / 1000));
    let events = events.collect::<Result<Vec<_>>>()?;

    let began = Instant::now();
    let mut found = 0;
    for (number, event) in (0..MATCHES).zip(events.iter().cycle()) {
        found += directory.matching(event).len();
        std::hint::black_box(number);
    }
    let micros = began.elapsed().as_secs_f64() * 1e6 / f64::from(MATCHES);
    anyhow::ensure!(
        found >= MATCHES as usize,
        "each event matches an endpoint, {found} did"
    );
    serde_json::to_writer(std::io::stdout(), &json!({ "match_micros": micros }))?;
    Ok(())
}

fn load_profile() -> Result<Arc<LoadedProfile>> {
    let name = signpost_wire::DEFAULT_PROFILE;
    let wire = signpost_wire::find_builtin(name).context("it is built in")?;
    let policy = DeliveryPolicy::parse(wire.success(), wire.retry(), wire.timeout())
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok(Arc::new(LoadedProfile {
        name: name.to_owned(),
        version: 0,
        wire,
        policy: Arc::new(policy),
    }))
}

/// An endpoint with an exact type, a pattern and a filter, as those of the scenario `directory`.
fn entry(
    number: u64,
    profile: &Arc<LoadedProfile>,
    rules: &Rules,
) -> Result<(EndpointEntry, Vec<Pattern>)> {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    let filter = Filter::parse(&json!({ "total": { "$gte": number } }), "/filter")
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let entry = EndpointEntry {
        id: EndpointId::generate(DateTime::UNIX_EPOCH, random),
        status: EndpointStatus::Active,
        target: Target::parse("https://example.com/hooks", rules),
        profile: Arc::clone(profile),
        secrets: Secrets::default(),
        overrides: Overrides::default(),
        policy: Arc::clone(&profile.policy),
        headers: Vec::new(),
        filter: Some(filter),
        rate_limit: None,
    };
    let patterns = [format!("dir.t{number}"), format!("dir.{number}.*")];
    let patterns = patterns.iter().map(|pattern| Ok(Pattern::parse(pattern)?));
    Ok((entry, patterns.collect::<Result<_>>()?))
}

fn event(number: u64) -> Result<Event> {
    let data = json!({ "total": number, "pad": "x".repeat(1000) }).to_string();
    Ok(Event {
        tenant: TenantId::parse("bench")?,
        id: EventId::parse("one")?,
        event_type: EventType::parse(&format!("dir.t{number}"))?,
        occurred_at: DateTime::UNIX_EPOCH,
        data: Bytes::from(data),
    })
}
