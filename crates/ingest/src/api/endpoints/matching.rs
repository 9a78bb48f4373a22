//! Which endpoints want an event, and why the others do not. Pure but for reading the list.

use bytes::Bytes;
use serde_json::Value;
use signpost_domain::{EndpointStatus, EventType, Filter, Pattern, TenantId};
use signpost_store::{Endpoint, EndpointSettings, PageRequest};

use crate::{app::Parts, error::ApiResult};

/// Endpoints that are read at once.
const PAGE: u32 = 500;

/// All endpoints of a tenant.
///
/// # Errors
/// The database cannot be reached.
pub async fn all_endpoints(app: &Parts, tenant: &TenantId) -> ApiResult<Vec<Endpoint>> {
    let mut all = Vec::new();
    let mut request = PageRequest::first(PAGE);
    loop {
        let page = app.store.list_endpoints(tenant, &request).await?;
        all.extend(page.items);
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => return Ok(all),
        }
    }
}

/// Whether an endpoint wants an event; with the reason, for a person.
pub fn matches(
    settings: &EndpointSettings,
    event_type: &EventType,
    data: &Value,
) -> (bool, String) {
    let patterns = settings
        .events
        .iter()
        .filter_map(|text| Pattern::parse(text).ok());
    let mut wanted = patterns.filter(|pattern| pattern.matches(event_type.as_str()));
    let Some(pattern) = wanted.next() else {
        let patterns = settings.events.join("`, `");
        return (
            false,
            format!("none of its patterns matches the type: `{patterns}`"),
        );
    };
    if let Some(filter) = &settings.filter {
        match Filter::parse(filter, "/filter") {
            Ok(filter) if filter.matches(data) => {}
            Ok(_) => return (false, "its filter does not match the data".to_owned()),
            Err(_) => return (false, "its filter cannot be read".to_owned()),
        }
    }
    let reason = match settings.status {
        EndpointStatus::Active => format!("its pattern `{pattern}` matches"),
        EndpointStatus::Paused => {
            format!("its pattern `{pattern}` matches; it is paused: the delivery would be held")
        }
        EndpointStatus::Disabled => {
            format!("its pattern `{pattern}` matches; it is disabled: nothing would be sent")
        }
    };
    (true, reason)
}

/// The data as a value to be filtered; JSON that no value holds matches no filter.
pub fn to_value(data: &Bytes) -> Value {
    serde_json::from_slice(data).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_why_an_endpoint_gets_an_event_or_not() {
        let mut settings = EndpointSettings {
            name: "a".into(),
            url: "https://example.com".into(),
            events: vec!["user.*".into(), "license.*".into()],
            filter: Some(json!({"plan": "pro"})),
            profile: "github".into(),
            status: EndpointStatus::Active,
            headers: json!({}),
            retry: None,
            timeout: None,
            rate_limit: None,
            metadata: json!({}),
        };
        let created = EventType::parse("license.created").unwrap();
        let is_wanted = |settings: &_, data| matches(settings, &created, &data);
        assert_eq!(
            is_wanted(&settings, json!({"plan": "pro"})),
            (true, "its pattern `license.*` matches".to_owned())
        );
        assert_eq!(
            is_wanted(&settings, json!({"plan": "free"})),
            (false, "its filter does not match the data".to_owned())
        );
        settings.status = EndpointStatus::Paused;
        assert!(
            is_wanted(&settings, json!({"plan": "pro"}))
                .1
                .contains("held")
        );
        settings.events = vec!["user.*".into()];
        assert!(!is_wanted(&settings, json!({"plan": "pro"})).0);
    }
}
