//! What the real publisher and the fake have in common.

use serde::Serialize;

use crate::{Event, EventId, PublishError};

/// Publishes events: [`Publisher`](crate::Publisher), and
/// [`FakePublisher`](crate::FakePublisher) in tests.
pub trait Publish: Send + Sync {
    /// Publishes an event and waits until the broker has it.
    ///
    /// # Errors
    /// Why it may not be there. Sending the same event again is harmless.
    fn send(&self, event: &Event) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Publishes a fact that occurred now; gives the id that the event was given.
    ///
    /// # Errors
    /// As [`Self::send`], or what is wrong with the names or the data. Calling it again makes
    /// another event: to repeat one, make it with [`Event::new`] and send it.
    fn publish(
        &self,
        tenant: &str,
        event_type: &str,
        data: impl Serialize,
    ) -> impl Future<Output = Result<EventId, PublishError>> + Send {
        // Outside the future, which need not hold the data.
        let made = Event::new(tenant, event_type, data);
        async move {
            let event = made?;
            self.send(&event).await?;
            Ok(event.id().clone())
        }
    }
}
