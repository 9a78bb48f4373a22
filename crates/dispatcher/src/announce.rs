//! Publishes operator events. Like any other event they go to `signpost.events`, and are
//! announced only after the ledger has what they tell of.

use signpost_broker::{DeliveryMessage, EventMessage};
use signpost_domain::{Event, EventId, EventType, OperatorEvent, TenantId};

use crate::{context::Context, dispatch};

/// How this program names itself on what it publishes, so that it is not counted as a publisher.
const APP_ID: &str = "signpost-dispatcher";

/// Publishes the event until the broker has it, or the process stops.
pub(crate) async fn announce(context: &Context, tenant: &TenantId, what: &OperatorEvent) {
    let now = context.clock.now();
    let Ok(event_type) = EventType::parse(what.event_type()) else {
        return; // A test in `domain` parses all of them.
    };
    tracing::info!(tenant.id = %tenant, event.r#type = %event_type, data = %what.data(), "operator event");
    let event = Event {
        tenant: tenant.clone(),
        id: EventId::generate(now, rand::random()),
        event_type,
        occurred_at: dispatch::whole_millis(now),
        data: what.data().to_string().into(),
    };
    let mut message = EventMessage::encode(&event, None);
    message.properties = message.properties.with_app_id(APP_ID);
    dispatch::publish_confirmed(context, message).await;
}

/// Announces that a delivery has ended without success; but not one of an operator event, which
/// would go round in circles.
pub(crate) async fn delivery_failed(
    context: &Context,
    message: &DeliveryMessage,
    attempt_count: u32,
    last_status_code: Option<u16>,
    reason: String,
) {
    if OperatorEvent::is_type(&message.event_type) {
        return;
    }
    let event = OperatorEvent::DeliveryFailed {
        delivery_id: message.delivery_id.clone(),
        event_id: message.event_id.clone(),
        event_type: message.event_type.clone(),
        endpoint_id: message.endpoint_id.clone(),
        attempt_count,
        last_status_code,
        reason,
    };
    announce(context, &message.tenant, &event).await;
}
