//! Events as publishers send them (contract, section 5), and as ingest sends them too: there is
//! one way in.
//!
//! The tenant and the event type come from the routing key only, so that RabbitMQ's topic
//! permissions confine a publisher to its tenant. The data is never decoded and encoded again.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use signpost_domain::{
    Event, EventId, EventType, TenantId,
    event::{DataError, check_data},
};

use super::{Headers, Properties, Publish, RejectReason, Rejection, cloud_event};
use crate::{consumer::Incoming, guard::UNREADABLE, topology::EVENTS};

/// The exact time of an event whose time is not a whole second, as RFC 3339. The property
/// `timestamp` can hold seconds only.
const OCCURRED_AT: &str = "signpost-occurred-at";
pub(super) const TRACEPARENT: &str = "traceparent";

/// Writes and reads event messages.
#[derive(Debug, Clone, Copy)]
pub struct EventMessage;

/// An event as it was read. What the publisher left out is still missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingEvent {
    /// From the routing key.
    pub tenant: TenantId,
    /// From the routing key.
    pub event_type: EventType,
    /// The publisher's id.
    pub id: Option<EventId>,
    /// The publisher's time.
    pub occurred_at: Option<DateTime<Utc>>,
    /// The facts: JSON, byte for byte as sent.
    pub data: Bytes,
    /// The publisher's trace context (<https://www.w3.org/TR/trace-context/#traceparent-header>).
    pub traceparent: Option<String>,
}

impl IncomingEvent {
    /// The event, with an id and a time of our own where the publisher gave none. `random` makes
    /// the id.
    pub fn into_event(self, now: DateTime<Utc>, random: [u8; 10]) -> Event {
        Event {
            tenant: self.tenant,
            id: self.id.unwrap_or_else(|| EventId::generate(now, random)),
            event_type: self.event_type,
            occurred_at: self.occurred_at.unwrap_or(now),
            data: self.data,
        }
    }
}

impl EventMessage {
    /// The message that carries `event` to the exchange [`EVENTS`].
    pub fn encode(event: &Event, traceparent: Option<&str>) -> Publish {
        let mut headers = Headers::new();
        // AMQP's timestamps are whole seconds from 1970 on.
        if event.occurred_at.timestamp_subsec_nanos() != 0 || event.occurred_at.timestamp() < 0 {
            let exact = event
                .occurred_at
                .to_rfc3339_opts(SecondsFormat::AutoSi, true);
            headers = headers.text(OCCURRED_AT, &exact);
        }
        if let Some(traceparent) = traceparent {
            headers = headers.text(TRACEPARENT, traceparent);
        }
        let seconds = u64::try_from(event.occurred_at.timestamp()).unwrap_or(0);
        Publish {
            exchange: EVENTS.to_owned(),
            routing_key: format!("{}.{}", event.tenant, event.event_type),
            properties: Properties::persistent()
                .with_content_type("application/json")
                .with_message_id(event.id.as_str())
                .with_timestamp(seconds)
                .with_headers(headers),
            body: event.data.clone(),
        }
    }

    /// Reads a message from the queue [`EVENTS`]. `max_bytes` is the largest body.
    ///
    /// # Errors
    /// Why it cannot become an event, whoever looks at it again and however often.
    pub fn decode(incoming: &Incoming, max_bytes: usize) -> Result<IncomingEvent, Rejection> {
        let (tenant, event_type) = read_routing_key(&incoming.routing_key)?;
        let size = incoming.body.len();
        if size > max_bytes {
            let detail = format!("the body has {size} bytes; at most {max_bytes} are allowed");
            return Err(Rejection::new(RejectReason::TooLarge, detail));
        }
        let properties = &incoming.properties;
        if properties.has_header(UNREADABLE) {
            let detail = "the headers are larger than 64 KiB, nested too deep, or broken";
            return Err(Rejection::new(RejectReason::BadHeaders, detail));
        }
        if let Some(encoding) = properties
            .content_encoding()
            .filter(|text| !text.is_empty())
        {
            let detail = format!("content_encoding is {encoding:?}; send the JSON itself");
            return Err(Rejection::new(RejectReason::BadJson, detail));
        }
        let content = match cloud_event::read(incoming, &event_type)? {
            Some(content) => content,
            None => cloud_event::Content::plain(&incoming.body),
        };
        check(&content.data)?;
        let id = match properties.message_id().or(content.id.as_deref()) {
            Some(id) => Some(read_id(id)?),
            None => None,
        };
        let occurred_at = match content.time {
            Some(time) => Some(time),
            None => read_time(properties)?,
        };
        let trace = properties.text(TRACEPARENT);
        let trace = trace.or(content.traceparent.as_deref());
        Ok(IncomingEvent {
            tenant,
            event_type,
            id,
            occurred_at,
            data: content.data,
            traceparent: trace.filter(|text| is_traceparent(text)).map(str::to_owned),
        })
    }
}

fn read_routing_key(key: &str) -> Result<(TenantId, EventType), Rejection> {
    let Some((tenant, event_type)) = key.split_once('.') else {
        let detail = format!("the routing key {key:?} must be TENANT.EVENT_TYPE");
        return Err(Rejection::new(RejectReason::BadRoutingKey, detail));
    };
    let tenant = TenantId::parse(tenant)
        .map_err(|error| Rejection::new(RejectReason::BadTenant, error.to_string()))?;
    let event_type = EventType::parse(event_type)
        .map_err(|error| Rejection::new(RejectReason::IllegalType, error.to_string()))?;
    Ok((tenant, event_type))
}

fn read_id(id: &str) -> Result<EventId, Rejection> {
    EventId::parse(id)
        .map_err(|error| Rejection::new(RejectReason::BadMessageId, error.to_string()))
}

fn check(data: &[u8]) -> Result<(), Rejection> {
    check_data(data).map_err(|error| {
        let reason = match error {
            DataError::TooDeep => RejectReason::TooDeep,
            DataError::NotJson(_) => RejectReason::BadJson,
        };
        Rejection::new(reason, format!("the data is {error}"))
    })
}

fn read_time(properties: &Properties) -> Result<Option<DateTime<Utc>>, Rejection> {
    if let Some(text) = properties.text(OCCURRED_AT) {
        return parse_time(text)
            .map(Some)
            .map_err(|detail| Rejection::new(RejectReason::BadTimestamp, detail));
    }
    let Some(seconds) = properties.timestamp() else {
        return Ok(None);
    };
    // The year 9999 ends at 253402300799; a time in milliseconds is far behind it.
    let time = i64::try_from(seconds).ok().filter(|s| *s < 253_402_300_800);
    match time.and_then(|seconds| DateTime::from_timestamp(seconds, 0)) {
        Some(time) => Ok(Some(time)),
        None => Err(Rejection::new(
            RejectReason::BadTimestamp,
            format!("the timestamp {seconds} is no time in seconds since 1970"),
        )),
    }
}

/// Reads an RFC 3339 time of the years 1 to 9999.
pub(super) fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|error| format!("{text:?} is not an RFC 3339 time: {error}"))
}

/// Trace context that does not look like it is left out, never a reason to reject.
fn is_traceparent(text: &str) -> bool {
    text.len() == 55
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f' | b'-'))
}

#[cfg(test)]
mod tests;
