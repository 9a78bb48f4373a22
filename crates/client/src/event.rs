//! An event on its way out: checked when it is made, so that only the broker can refuse it.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use signpost_broker::{EventMessage, Publish as BrokerMessage};
use signpost_domain::{Clock as _, EventId, EventType, SystemClock, TenantId, event::check_data};

use crate::EventError;

/// A fact to publish. It has its id from the start: sent twice, it is delivered once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    inner: signpost_domain::Event,
    traceparent: Option<String>,
}

impl Event {
    /// An event of `tenant` that occurred now, with a new id.
    ///
    /// ```
    /// let event = signpost_client::Event::new("acme", "post.created", ("any", "data"))?;
    /// assert_eq!(event.data(), br#"["any","data"]"#);
    /// # Ok::<(), signpost_client::EventError>(())
    /// ```
    ///
    /// # Errors
    /// A name breaks its rule, or the data cannot be written as JSON or is nested too deep.
    pub fn new(tenant: &str, event_type: &str, data: impl Serialize) -> Result<Self, EventError> {
        let data = serde_json::to_vec(&data).map_err(EventError::Serialize)?;
        Self::from_json(tenant, event_type, data)
    }

    /// As [`Self::new`], with data that is JSON already. Receivers get these very bytes: number
    /// formats, key order and white space stay.
    ///
    /// # Errors
    /// A name breaks its rule, or the data is not one JSON value or nested too deep.
    pub fn from_json(
        tenant: &str,
        event_type: &str,
        data: impl Into<Bytes>,
    ) -> Result<Self, EventError> {
        let data = data.into();
        check_data(&data).map_err(EventError::Data)?;
        let now = SystemClock.now();
        let inner = signpost_domain::Event {
            tenant: TenantId::parse(tenant)?,
            id: EventId::generate(now, rand::random()),
            event_type: EventType::parse(event_type)?,
            occurred_at: now,
            data,
        };
        Ok(Self {
            inner,
            traceparent: None,
        })
    }

    /// Gives it an id of the publisher's own, such as the key of the row that the event is about:
    /// the same fact then has the same id after a restart, too.
    ///
    /// # Errors
    /// The id is not 1 to 128 characters of `[A-Za-z0-9_-]`.
    pub fn with_id(mut self, id: &str) -> Result<Self, EventError> {
        self.inner.id = EventId::parse(id)?;
        Ok(self)
    }

    /// Says when it occurred.
    #[must_use]
    pub fn with_occurred_at(mut self, occurred_at: DateTime<Utc>) -> Self {
        self.inner.occurred_at = occurred_at;
        self
    }

    /// Passes the trace context on (<https://www.w3.org/TR/trace-context/#traceparent-header>).
    ///
    /// # Errors
    /// It does not have the form of one.
    pub fn with_traceparent(mut self, traceparent: &str) -> Result<Self, EventError> {
        let fits = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
        if traceparent.len() != 55 || !traceparent.bytes().all(fits) {
            return Err(EventError::Traceparent);
        }
        self.traceparent = Some(traceparent.to_owned());
        Ok(self)
    }

    /// Its id, unique within the tenant.
    pub fn id(&self) -> &EventId {
        &self.inner.id
    }

    /// Whose event it is.
    pub fn tenant(&self) -> &TenantId {
        &self.inner.tenant
    }

    /// What happened.
    pub fn event_type(&self) -> &EventType {
        &self.inner.event_type
    }

    /// When it happened.
    pub fn occurred_at(&self) -> DateTime<Utc> {
        self.inner.occurred_at
    }

    /// The facts: the bytes that receivers get.
    pub fn data(&self) -> &[u8] {
        &self.inner.data
    }

    /// The facts as JSON, to look into.
    pub fn json(&self) -> Value {
        // Fails for numbers that serde_json cannot hold only; those are valid JSON all the same.
        self.decode().unwrap_or(Value::Null)
    }

    /// The facts as the publisher's own type.
    ///
    /// # Errors
    /// They do not fit the type.
    pub fn decode<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(self.data())
    }

    pub(crate) fn message(&self) -> BrokerMessage {
        EventMessage::encode(&self.inner, self.traceparent.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_checked_when_it_is_made() {
        let made = |tenant, event_type| Event::new(tenant, event_type, 1);
        assert!(matches!(made("Acme", "a"), Err(EventError::Name(_))));
        assert!(matches!(made("acme", "a..b"), Err(EventError::Name(_))));
        for bad in ["", "{", "[1,]", "\u{0}"] {
            let event = Event::from_json("acme", "a", bad);
            assert!(matches!(event, Err(EventError::Data(_))), "{bad:?}");
        }
        let deep = "[".repeat(65) + &"]".repeat(65);
        let event = Event::from_json("acme", "a", deep);
        assert!(matches!(event, Err(EventError::Data(_))));
        let by_pair = std::collections::BTreeMap::from([((1, 2), 3)]);
        let event = Event::new("acme", "a", by_pair);
        assert!(matches!(event, Err(EventError::Serialize(_))));

        let event = made("acme", "a").unwrap();
        assert!(event.clone().with_id("a b").is_err());
        assert!(event.clone().with_traceparent("00-abc").is_err());
        assert!(event.with_traceparent(&"0".repeat(55)).is_ok());
    }

    #[test]
    fn raw_json_stays_as_it_is() {
        let raw = r#" {"b": 1.0, "a": 12345678901234567890123, "a": 2}"#;
        let event = Event::from_json("acme", "a", raw).unwrap();
        assert_eq!(event.data(), raw.as_bytes());
        assert_eq!(event.message().body, raw);
        assert_eq!(event.json()["b"], json!(1.0));
        let huge = Event::from_json("acme", "a", "1e999").unwrap();
        assert_eq!(huge.json(), Value::Null);
    }

    #[test]
    fn two_events_have_two_ids() {
        let made = || Event::new("acme", "a", ()).unwrap();
        assert_ne!(made().id(), made().id());
        assert_eq!(made().with_id("x-1").unwrap().id().as_str(), "x-1");
    }
}
