//! Which endpoints fail, and since when; told to the ledger, so that one that has only failed for
//! days is paused, and its tenant hears when one has recovered.
//!
//! [`Health::saw`] is called for every attempt and does no I/O. What it notices is written every
//! few seconds by [`run`]. Each dispatcher sees only a part of an endpoint's attempts, so all of
//! them read now and then what the others have noted: a success anywhere ends it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use signpost_domain::{EndpointId, OperatorEvent, TenantId};
use signpost_store::{FailingEndpoint, StoreError};

use crate::{announce::announce, context::Context};

/// The time between two rounds.
const ROUND: Duration = Duration::from_secs(5);
/// What fails for a shorter time is not worth a note.
const WORTH_A_NOTE: TimeDelta = TimeDelta::seconds(30);
/// An endpoint whose attempts have all failed for this long is paused.
const PAUSED_AFTER: TimeDelta = TimeDelta::days(5);
/// But only if it was tried over this long a time: one failure and silence is no proof.
const TRIED_FOR: TimeDelta = TimeDelta::hours(12);
/// Failing endpoints remembered; with more, the rest is noticed later.
const MAX_FAILING: usize = 20_000;

/// What is known of endpoints that fail.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failing: HashMap<EndpointId, Failing>,
    recovered: Vec<(TenantId, EndpointId)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Failing {
    tenant: TenantId,
    since: DateTime<Utc>,
    is_noted: bool,
}

impl Health {
    /// Learns of an attempt.
    pub fn saw(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        succeeded: bool,
        at: DateTime<Utc>,
    ) {
        let mut state = self.lock();
        if succeeded {
            let was = state.failing.remove(endpoint);
            if was.is_some_and(|failing| failing.is_noted) {
                state.recovered.push((tenant.clone(), endpoint.clone()));
            }
        } else if state.failing.len() < MAX_FAILING && !state.failing.contains_key(endpoint) {
            let failing = Failing {
                tenant: tenant.clone(),
                since: at,
                is_noted: false,
            };
            state.failing.insert(endpoint.clone(), failing);
        }
    }

    /// Endpoints that have failed since before `before` and are not noted yet; they count as noted
    /// from now on.
    fn take_news(&self, before: DateTime<Utc>) -> Vec<(TenantId, EndpointId, DateTime<Utc>)> {
        let mut state = self.lock();
        let mut news = Vec::new();
        for (id, failing) in &mut state.failing {
            if !failing.is_noted && failing.since <= before {
                failing.is_noted = true;
                news.push((failing.tenant.clone(), id.clone(), failing.since));
            }
        }
        news
    }

    fn take_recovered(&self) -> Vec<(TenantId, EndpointId)> {
        std::mem::take(&mut self.lock().recovered)
    }

    /// Learns what all dispatchers have noted. What one of them took back is failing no more.
    fn learn(&self, noted: Vec<FailingEndpoint>) {
        let mut state = self.lock();
        state.failing.retain(|_, failing| !failing.is_noted);
        for endpoint in noted {
            let failing = Failing {
                tenant: endpoint.tenant,
                since: endpoint.failing_since,
                is_noted: true,
            };
            state.failing.insert(endpoint.id, failing);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what was noticed, until the process stops.
pub(crate) async fn run(context: Arc<Context>) {
    let token = context.lifecycle.token();
    while !token.is_cancelled() {
        if let Err(error) = round(&context).await {
            tracing::warn!(error = %signpost_runtime::error_chain(&error), "noting endpoints' health failed for now");
        }
        tokio::select! {
            // Cancel-safe: nothing is lost with a pause.
            () = tokio::time::sleep(ROUND.mul_f64(context.tiers.scale())) => {}
            () = token.cancelled() => {}
        }
    }
}

async fn round(context: &Context) -> Result<(), StoreError> {
    let (health, store) = (&context.health, &context.store);
    let recovered = health.take_recovered();
    if !recovered.is_empty() {
        for endpoint in store.note_working(&recovered).await? {
            let event = OperatorEvent::EndpointRecovering {
                endpoint_id: endpoint.id,
                failing_since: endpoint.failing_since,
            };
            announce(context, &endpoint.tenant, &event).await;
        }
    }
    let now = context.clock.now();
    let scaled = |time: TimeDelta| time_scaled(time, context.tiers.scale());
    let news = health.take_news(now - scaled(WORTH_A_NOTE));
    if !news.is_empty() {
        store.note_failing(&news).await?;
    }
    let reason = "every attempt has failed for 5 days";
    let (after, tried_for) = (scaled(PAUSED_AFTER), scaled(TRIED_FOR));
    let paused = store.pause_failing_endpoints(now - after, tried_for, reason, now);
    for endpoint in paused.await? {
        let event = OperatorEvent::EndpointPaused {
            endpoint_id: endpoint.id,
            reason: reason.to_owned(),
            failing_since: endpoint.failing_since,
        };
        announce(context, &endpoint.tenant, &event).await;
    }
    health.learn(store.failing_endpoints(MAX_FAILING).await?);
    Ok(())
}

fn time_scaled(time: TimeDelta, scale: f64) -> TimeDelta {
    let scaled = time.to_std().unwrap_or_default().mul_f64(scale);
    TimeDelta::from_std(scaled).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn failing_begins_with_the_first_failure_and_ends_with_a_success() {
        let health = Health::default();
        let tenant = TenantId::parse("acme").unwrap();
        let endpoint = EndpointId::generate(at(0), [1; 10]);
        for second in [10, 20] {
            health.saw(&tenant, &endpoint, false, at(second));
        }
        assert!(health.take_news(at(9)).is_empty(), "too short a time");
        let news = [(tenant.clone(), endpoint.clone(), at(10))];
        assert_eq!(health.take_news(at(10)), news);
        assert!(health.take_news(at(99)).is_empty(), "told once");
        health.saw(&tenant, &endpoint, true, at(30));
        assert_eq!(
            health.take_recovered(),
            [(tenant.clone(), endpoint.clone())]
        );
        health.saw(&tenant, &endpoint, true, at(31));
        assert!(health.take_recovered().is_empty());
    }

    #[test]
    fn a_short_failure_is_nobody_s_business() {
        let health = Health::default();
        let tenant = TenantId::parse("acme").unwrap();
        let endpoint = EndpointId::generate(at(0), [1; 10]);
        health.saw(&tenant, &endpoint, false, at(10));
        health.saw(&tenant, &endpoint, true, at(11));
        assert!(health.take_news(at(99)).is_empty());
        assert!(health.take_recovered().is_empty());
    }

    #[test]
    fn what_another_dispatcher_noted_is_ended_by_a_success_here() {
        let health = Health::default();
        let tenant = TenantId::parse("acme").unwrap();
        let endpoint = EndpointId::generate(at(0), [1; 10]);
        health.learn(vec![FailingEndpoint {
            tenant: tenant.clone(),
            id: endpoint.clone(),
            failing_since: at(5),
        }]);
        health.saw(&tenant, &endpoint, true, at(20));
        assert_eq!(health.take_recovered().len(), 1);
    }
}
