//! A publisher that keeps what it is given, for the tests of code that publishes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use signpost_broker::PublishError as BrokerError;

use crate::{Event, Publish, PublishError};

/// Publishes nothing and remembers everything. Clones share their memory, so that one can be given
/// away and the other asked.
#[derive(Debug, Clone, Default)]
pub struct FakePublisher {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    published: Vec<Event>,
    failure: Option<BrokerError>,
}

impl FakePublisher {
    /// One that has published nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was published so far, oldest first.
    pub fn published(&self) -> Vec<Event> {
        self.state().published.clone()
    }

    /// Fails every publish with this error from now on, or with `None` none any more. What failed
    /// is not remembered.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() {
    /// use signpost_client::{BrokerError, FakePublisher, Publish};
    ///
    /// let events = FakePublisher::new();
    /// events.fail_with(Some(BrokerError::Unavailable));
    /// assert!(events.publish("acme", "post.created", 1).await.is_err());
    /// events.assert_nothing_published();
    /// # }
    /// ```
    pub fn fail_with(&self, failure: impl Into<Option<BrokerError>>) {
        self.state().failure = failure.into();
    }

    /// Checks that an event of this type was published for which `is_it` says yes.
    ///
    /// # Panics
    /// There is none; the message lists what was published.
    #[track_caller]
    pub fn assert_published(&self, event_type: &str, mut is_it: impl FnMut(&Event) -> bool) {
        let published = self.published();
        let found = published
            .iter()
            .any(|event| event.event_type().as_str() == event_type && is_it(event));
        assert!(
            found,
            "no such {event_type} was published, but {}",
            list(&published)
        );
    }

    /// Checks that no event of this type was published.
    ///
    /// # Panics
    /// There is one; the message lists what was published.
    #[track_caller]
    pub fn assert_not_published(&self, event_type: &str) {
        let published = self.published();
        let mut types = published.iter().map(Event::event_type);
        assert!(
            types.all(|found| found.as_str() != event_type),
            "{event_type} was published: {}",
            list(&published)
        );
    }

    /// Checks that nothing was published.
    ///
    /// # Panics
    /// Something was; the message lists it.
    #[track_caller]
    pub fn assert_nothing_published(&self) {
        let published = self.published();
        assert!(published.is_empty(), "published were {}", list(&published));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a list of events, which is still true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list(events: &[Event]) -> String {
    if events.is_empty() {
        return "nothing".to_owned();
    }
    let line = |event: &Event| {
        let data = String::from_utf8_lossy(event.data());
        format!("\n  {} {} {data}", event.tenant(), event.event_type())
    };
    events.iter().map(line).collect()
}

impl Publish for FakePublisher {
    async fn send(&self, event: &Event) -> Result<(), PublishError> {
        let mut state = self.state();
        if let Some(failure) = state.failure {
            return Err(failure.into());
        }
        state.published.push(event.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use serde_json::json;

    use super::*;

    fn panic_text(assertion: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(assertion)).unwrap_err();
        *panic.downcast::<String>().unwrap()
    }

    #[tokio::test]
    async fn finds_what_was_published_and_lists_it_when_it_does_not() {
        let fake = FakePublisher::new();
        fake.assert_nothing_published();
        let text = panic_text(|| fake.assert_published("post.created", |_| true));
        assert_eq!(text, "no such post.created was published, but nothing");

        let given_away = fake.clone();
        let id = given_away.publish("acme", "post.created", json!({"id": 1}));
        let id = id.await.unwrap();
        fake.assert_published("post.created", |event| {
            event.json()["id"] == 1 && *event.id() == id && event.tenant().as_str() == "acme"
        });
        fake.assert_not_published("post.updated");
        for text in [
            panic_text(|| fake.assert_published("post.created", |event| event.json()["id"] == 2)),
            panic_text(|| fake.assert_published("post.updated", |_| true)),
            panic_text(|| fake.assert_not_published("post.created")),
            panic_text(|| fake.assert_nothing_published()),
        ] {
            assert!(text.ends_with("\n  acme post.created {\"id\":1}"), "{text}");
        }
    }

    #[tokio::test]
    async fn refuses_what_the_real_one_refuses_and_fails_on_request() {
        let fake = FakePublisher::new();
        let error = fake.publish("acme", "no good", 1).await.unwrap_err();
        assert!(!error.is_transient());
        fake.fail_with(BrokerError::TimedOut);
        let error = fake.publish("acme", "good", 1).await.unwrap_err();
        assert!(error.is_transient());
        fake.assert_nothing_published();
        fake.fail_with(None);
        fake.publish("acme", "good", 1).await.unwrap();
        assert_eq!(fake.published().len(), 1);
    }
}
