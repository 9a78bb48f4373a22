//! Reads an event out of a request body: the hot path of the API.
//!
//! A good event is read in one pass that copies nothing: `data` is a slice of the body, byte for
//! byte what the publisher sent. Only a bad one is read a second time, slowly, to name all of its
//! problems at once.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use signpost_domain::{Event, EventId, EventType, TenantId, event::check_depth};

use crate::{
    error::{ApiError, ErrorCode},
    http::{fields::Fields, query::parse_event_time},
};

/// What an event takes from around the body.
#[derive(Debug, Clone)]
pub struct Context<'c> {
    /// Whose event it is.
    pub tenant: &'c TenantId,
    /// When it occurred, unless it says so.
    pub now: DateTime<Utc>,
    /// Largest `data`, in bytes.
    pub max_bytes: usize,
    /// Its id, unless it brings one; by default one is generated.
    pub id: Option<EventId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'b> {
    #[serde(borrow, rename = "type")]
    event_type: Cow<'b, str>,
    #[serde(borrow)]
    data: &'b RawValue,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    occurred_at: Option<String>,
}

/// Reads one event from `json`, which must be a part of `body`.
///
/// # Errors
/// Every problem of the event at once.
pub fn read_event(body: &Bytes, json: &[u8], context: &Context<'_>) -> Result<Event, ApiError> {
    let Ok(document) = serde_json::from_slice::<Document<'_>>(json) else {
        return Err(explain(json));
    };
    let data = document.data.get().as_bytes();
    if data.len() > context.max_bytes {
        return Err(ApiError::new(
            ErrorCode::EventTooLarge,
            format!(
                "`data` has {} bytes; it may have {}.",
                data.len(),
                context.max_bytes
            ),
        ));
    }
    let event_type = EventType::parse(&document.event_type);
    let id = match (&document.id, &context.id) {
        (Some(id), _) => EventId::parse(id).ok(),
        (None, Some(id)) => Some(id.clone()),
        (None, None) => Some(EventId::generate(context.now, rand::random())),
    };
    let occurred_at = match &document.occurred_at {
        Some(text) => parse_event_time(text).ok(),
        None => Some(context.now),
    };
    match (event_type, id, occurred_at, check_depth(data)) {
        (Ok(event_type), Some(id), Some(occurred_at), Ok(())) => Ok(Event {
            tenant: context.tenant.clone(),
            id,
            event_type,
            // The ledger keeps microseconds; what is sent must not differ from what it renders.
            occurred_at: occurred_at.trunc_subsecs(6),
            data: body.slice_ref(data),
        }),
        _some_problem => Err(explain(json)),
    }
}

/// Reads the event once more, to say everything that is wrong with it.
fn explain(json: &[u8]) -> ApiError {
    match read_slowly(json) {
        Err(error) => error,
        // The two readers would have to disagree: a duplicate field is one such case.
        Ok(()) => match serde_json::from_slice::<Document<'_>>(json) {
            Err(error) => ApiError::new(ErrorCode::InvalidJson, error.to_string()),
            Ok(_) => ApiError::internal_text("an event is refused for no reason"),
        },
    }
}

fn read_slowly(json: &[u8]) -> Result<(), ApiError> {
    let value = serde_json::from_slice(json)
        .map_err(|error| ApiError::new(ErrorCode::InvalidJson, error.to_string()))?;
    let mut fields = Fields::from_value(value, "")?;
    let event_type = fields.parsed("type", EventType::parse);
    fields.require("type", event_type.is_some());
    match fields.any("data") {
        None => fields.problem("data", "this field is required; any JSON value is allowed"),
        Some(data) => {
            if let Err(error) = check_depth(data.to_string().as_bytes()) {
                fields.problem("data", error.to_string());
            }
        }
    }
    fields.parsed("id", EventId::parse);
    fields.parsed("occurred_at", parse_event_time);
    fields.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Event, ApiError> {
        let tenant = TenantId::parse("acme").unwrap();
        let body = Bytes::from(json.to_owned());
        let context = Context {
            tenant: &tenant,
            now: DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap(),
            max_bytes: 1000,
            id: None,
        };
        read_event(&body, &body, &context)
    }

    fn pointers(json: &str) -> Vec<String> {
        let errors = read(json).unwrap_err().body().errors;
        errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn data_stays_byte_for_byte_what_was_sent() {
        let data = r#"{ "b" : 1.0, "a":12345678901234567890,"é":"\u00e9\/" ,"a":2}"#;
        let event = read(&format!(r#"{{"type":"license.created","data":{data} }}"#)).unwrap();
        assert_eq!(event.data, data);
        assert_eq!(event.event_type.as_str(), "license.created");
        assert!(event.id.as_str().starts_with("evt_"));
        assert_eq!(event.occurred_at.timestamp_subsec_nanos(), 123_456_000);
    }

    #[test]
    fn data_may_be_any_json() {
        for data in ["null", "true", "1e2", "\"x\"", "[]", "{}"] {
            let event = read(&format!(r#"{{"data":{data},"type":"a"}}"#)).unwrap();
            assert_eq!(event.data, data);
        }
    }

    #[test]
    fn takes_the_publisher_s_id_and_time() {
        let event = read(
            r#"{"type":"a","data":1,"id":"order-7_b","occurred_at":"2026-01-02T03:04:05.678+01:00"}"#,
        )
        .unwrap();
        assert_eq!(event.id.as_str(), "order-7_b");
        assert_eq!(
            event.occurred_at.to_rfc3339(),
            "2026-01-02T02:04:05.678+00:00"
        );
    }

    #[test]
    fn names_every_problem_at_once() {
        assert_eq!(
            pointers(r#"{"type":"a..b","id":"a b","occurred_at":"yesterday","colour":1}"#),
            ["/type", "/data", "/id", "/occurred_at", "/colour"]
        );
        assert_eq!(pointers(r#"{"data":1}"#), ["/type"]);
        assert_eq!(pointers(r#"{"type":7,"data":1}"#), ["/type"]);
        let deep = format!(
            r#"{{"type":"a","data":{}{}}}"#,
            "[".repeat(65),
            "]".repeat(65)
        );
        assert_eq!(pointers(&deep), ["/data"]);
    }

    #[test]
    fn tells_bad_json_and_large_data_from_bad_content() {
        for bad in ["", "{", "nonsense", r#"{"type":"a","data":{"a":}}"#] {
            assert_eq!(
                read(bad).unwrap_err().code(),
                ErrorCode::InvalidJson,
                "{bad}"
            );
        }
        let twice = r#"{"type":"a","type":"b","data":1}"#;
        assert_eq!(read(twice).unwrap_err().code(), ErrorCode::InvalidJson);
        assert_eq!(read("[]").unwrap_err().code(), ErrorCode::ValidationFailed);
        let large = format!(r#"{{"type":"a","data":"{}"}}"#, "x".repeat(1000));
        assert_eq!(read(&large).unwrap_err().code(), ErrorCode::EventTooLarge);
    }
}
