//! Which deliveries an event gives. Pure: the subscriptions and the ids come in.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::DateTime;
use signpost_broker::DeliveryMessage;
use signpost_domain::{DeliveryId, DeliveryStatus, EndpointStatus, Event, Trigger};
use signpost_wire::EventParts;

use crate::directory::{EndpointEntry, TenantDirectory};

/// A delivery to be made.
#[derive(Debug)]
pub(super) struct PlannedDelivery {
    pub(super) id: DeliveryId,
    pub(super) endpoint: Arc<EndpointEntry>,
    pub(super) status: DeliveryStatus,
    /// For a pending one: how long after its insert its first attempt will have ended.
    pub(super) lease: Option<Duration>,
    /// For a pending one: what is sent, the same bytes on each attempt.
    pub(super) body: Bytes,
}

impl PlannedDelivery {
    pub(super) fn is_pending(&self) -> bool {
        self.status == DeliveryStatus::Pending
    }
}

/// Finds the endpoints that want the event and plans a delivery for each.
pub(super) fn deliveries(
    event: &Event,
    tenant: &TenantDirectory,
    lease: fn(Duration) -> Duration,
    mut new_id: impl FnMut() -> DeliveryId,
) -> Vec<PlannedDelivery> {
    // Rendered once per profile, however many endpoints share it.
    let mut bodies: HashMap<*const (), Bytes> = HashMap::new();
    let parts = EventParts {
        id: event.id.as_str(),
        event_type: event.event_type.as_str(),
        tenant: event.tenant.as_str(),
        occurred_at: event.occurred_at,
    };
    let plan = |endpoint: &Arc<EndpointEntry>| {
        let status = match endpoint.status {
            EndpointStatus::Active => DeliveryStatus::Pending,
            EndpointStatus::Paused => DeliveryStatus::Held,
            EndpointStatus::Disabled => DeliveryStatus::Discarded,
        };
        let is_pending = status == DeliveryStatus::Pending;
        let body = if is_pending {
            let key = Arc::as_ptr(&endpoint.profile).cast();
            bodies
                .entry(key)
                .or_insert_with(|| endpoint.profile.wire.render_body(&parts, &event.data))
                .clone()
        } else {
            Bytes::new()
        };
        let timeout = endpoint.policy.timeout;
        PlannedDelivery {
            id: new_id(),
            endpoint: Arc::clone(endpoint),
            status,
            lease: is_pending.then(|| lease(timeout)),
            body,
        }
    };
    tenant.matching(event).into_iter().map(plan).collect()
}

/// The message of a delivery's first attempt.
pub(super) fn first_message(
    event: &Event,
    traceparent: Option<&str>,
    delivery: &PlannedDelivery,
) -> DeliveryMessage {
    let profile = &delivery.endpoint.profile;
    DeliveryMessage {
        tenant: event.tenant.clone(),
        event_id: event.id.clone(),
        endpoint_id: delivery.endpoint.id.clone(),
        delivery_id: delivery.id.clone(),
        event_type: event.event_type.clone(),
        attempt: 1,
        retries_used: 0,
        trigger: Trigger::Event,
        due_at: DateTime::UNIX_EPOCH,
        occurred_at: event.occurred_at,
        profile: profile.name.clone(),
        profile_version: profile.version,
        lease: None,
        traceparent: traceparent.map(str::to_owned),
        body: delivery.body.clone(),
    }
}
