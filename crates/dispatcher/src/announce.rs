//! Publishes operator events. Like any other event they go to `signpost.events`, and are
//! announced only after the ledger has what they tell of.

use signpost_broker::EventMessage;
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
