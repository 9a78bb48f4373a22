//! A batch on its way into the ledger: what arrived, with the deliveries that follow from it.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use signpost_broker::{Incoming, IncomingEvent, RejectReason, Rejection, topology::EVENTS};
use signpost_domain::{DeliveryId, Event, TenantId};
use signpost_runtime::{crash_point_at, sabotaged};

use super::plan::{self, PlannedDelivery};
use crate::{context::Context, directory::TenantDirectory, ledger, reject};

/// An event's own time counts as its acceptance when it is this close: for a report of latency.
const JUST_NOW: TimeDelta = TimeDelta::minutes(1);

/// An event that could be read.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) event: Event,
    pub(super) traceparent: Option<String>,
    pub(super) message: Incoming,
    received_at: DateTime<Utc>,
}

impl Arrived {
    pub(super) fn new(mut event: IncomingEvent, message: Incoming, now: DateTime<Utc>) -> Self {
        let traceparent = event.traceparent.take();
        Self {
            event: event.into_event(now, rand::random()),
            traceparent,
            message,
            received_at: now,
        }
    }

    /// Whether a publisher sent it straight to the broker.
    pub(super) fn came_over_amqp(&self) -> bool {
        let ours = ["signpost-ingest", "signpost-dispatcher"];
        let app = self.message.properties.app_id();
        app.is_none_or(|app| !ours.contains(&app))
    }

    /// When the event was accepted, as nearly as we know.
    pub(super) fn accepted_at(&self) -> DateTime<Utc> {
        let age = self.received_at - self.event.occurred_at;
        if (TimeDelta::zero()..JUST_NOW).contains(&age) {
            self.event.occurred_at
        } else {
            self.received_at
        }
    }
}

/// An event with its deliveries.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) arrived: Arrived,
    pub(super) tenant: Arc<TenantDirectory>,
    pub(super) deliveries: Vec<PlannedDelivery>,
    /// The time in the deliveries' ids: lists find them by it.
    pub(super) created_at: DateTime<Utc>,
}

/// Plans the deliveries of each event, by the subscriptions as the database has them now. Events
/// of unknown tenants are rejected. `None`: the process is stopping; nothing was acked.
pub(super) async fn plan(context: &Arc<Context>, arrived: Vec<Arrived>) -> Option<Vec<Planned>> {
    let mut tenants: Vec<TenantId> = arrived
        .iter()
        .map(|arrived| arrived.event.tenant.clone())
        .collect();
    tenants.sort_unstable();
    tenants.dedup();
    if tenants.is_empty() {
        return Some(Vec::new());
    }
    let directories: HashMap<_, _> = ledger::ask(context, "reading subscriptions", || {
        context.directory.fresh(&tenants)
    })
    .await?;
    let now = context.clock.now();
    let mut planned = Vec::with_capacity(arrived.len());
    for arrived in arrived {
        let event = &arrived.event;
        crash_point_at("fan-out-of", event.event_type.as_str());
        let found = if sabotaged("tenant-swapped") {
            directories.values().next()
        } else {
            directories.get(&event.tenant)
        };
        let Some(tenant) = found else {
            let detail = format!("there is no tenant {}", event.tenant);
            reject::in_background(
                context,
                arrived.message,
                Rejection::new(RejectReason::UnknownTenant, detail),
                EVENTS,
            );
            continue;
        };
        if let Err(rejection) = check_schema(context, event, tenant) {
            reject::in_background(context, arrived.message, rejection, EVENTS);
            continue;
        }
        let new_id = || DeliveryId::generate(now, rand::random());
        let deliveries = plan::deliveries(event, tenant, super::lease, new_id);
        planned.push(Planned {
            tenant: Arc::clone(tenant),
            deliveries,
            created_at: now,
            arrived,
        });
    }
    Some(planned)
}

/// Compares the data with the schema of its type, if there is one. Ingest has done so already
/// where it could; what came over AMQP is seen here first.
fn check_schema(
    context: &Context,
    event: &Event,
    tenant: &TenantDirectory,
) -> Result<(), Rejection> {
    let Some(entry) = tenant.schema(&event.event_type) else {
        return Ok(());
    };
    let problems = entry.schema.problems(&event.data);
    let Some(first) = problems.first() else {
        return Ok(());
    };
    let detail = format!("{} at {}", first.detail, first.pointer);
    if entry.is_strict {
        return Err(Rejection::new(RejectReason::SchemaRefused, detail));
    }
    context.metrics.schema_warnings.inc();
    tracing::warn!(
        tenant.id = %event.tenant,
        event.id = %event.id,
        event.r#type = %event.event_type,
        problem = detail,
        "the data does not fit the schema of its type"
    );
    Ok(())
}
