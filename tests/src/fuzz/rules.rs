//! What tenants write: filters, patterns, schemas, retry policies, headers, URLs.

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use signpost_domain::{
    EventType, Filter, OperatorEvent, Pattern, RetryPolicy, Schema, format_duration,
    headers::check_headers, parse_duration,
};
use signpost_egress::{AddressRule, EgressConfig, Rules, Target};

use super::split;

fn json_parts(data: &[u8]) -> Option<(Value, Value)> {
    let (first, second) = split(data);
    let first = serde_json::from_slice(first).ok()?;
    Some((first, serde_json::from_slice(second).unwrap_or_default()))
}

/// A filter, `--`, and data: the same as itself in `$and` and `$or`, and never the same as in `$not`.
pub(super) fn filter(data: &[u8]) -> bool {
    let Some((document, data)) = json_parts(data) else {
        return false;
    };
    let filter = match Filter::parse(&document, "/filter") {
        Ok(filter) => filter,
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|p| p.pointer.starts_with("/filter")));
            return false;
        }
    };
    let matches = filter.matches(&data);
    for (operator, expected) in [("$and", matches), ("$or", matches)] {
        // Deeper by one, it may be too deep.
        if let Ok(wrapped) = Filter::parse(&json!({operator: [document]}), "") {
            assert_eq!(wrapped.matches(&data), expected, "{operator}");
        }
    }
    if let Ok(negated) = Filter::parse(&json!({"$not": document}), "") {
        assert_ne!(negated.matches(&data), matches, "$not");
    }
    true
}

/// A pattern, `--`, and an event type: as a second, slower reading of the rule says.
pub(super) fn pattern(data: &[u8]) -> bool {
    let (text, event_type) = split(data);
    let (text, event_type) = (
        String::from_utf8_lossy(text),
        String::from_utf8_lossy(event_type),
    );
    let Ok(pattern) = Pattern::parse(&text) else {
        return false;
    };
    assert_eq!(pattern.as_str(), text);
    let Ok(event_type) = EventType::parse(&event_type) else {
        let _matched = pattern.matches(&event_type);
        return false;
    };
    let event_type = event_type.as_str();
    let words: Vec<_> = event_type.split('.').collect();
    let wanted: Vec<_> = text.split('.').collect();
    let expected = if text == "*" {
        !OperatorEvent::TYPES.contains(&event_type)
    } else {
        is_wanted(&wanted, &words)
    };
    assert_eq!(pattern.matches(event_type), expected);
    true
}

fn is_wanted(wanted: &[&str], words: &[&str]) -> bool {
    match (wanted, words) {
        (["*"], [_, ..]) | ([], []) => true,
        ([want, wanted @ ..], [word, words @ ..]) => {
            (*want == "*" || want == word) && is_wanted(wanted, words)
        }
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

/// A JSON Schema, `--`, and data.
pub(super) fn schema(data: &[u8]) -> bool {
    let (document, data) = split(data);
    let Ok(document) = serde_json::from_slice::<Value>(document) else {
        return false;
    };
    let Ok(schema) = Schema::compile(&document) else {
        return false;
    };
    let problems = schema.problems(data);
    assert!(problems.iter().all(|p| p.pointer.starts_with("/data")));
    assert_eq!(schema.problems(data), problems, "always the same");
    true
}

/// A retry policy, or a duration: as many waits as it says, none longer than a policy may have.
pub(super) fn retry(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    if let Ok(duration) = parse_duration(&text) {
        assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }
    let Ok(document) = serde_json::from_slice::<Value>(data) else {
        return false;
    };
    let Ok(policy) = RetryPolicy::parse(&document, "/retry") else {
        return false;
    };
    let week = std::time::Duration::from_secs(7 * 86_400);
    for used in 0..policy.retries() {
        for random in [0.0, 0.5, 1.0 - f64::EPSILON] {
            let wait = policy.delay(used, random).expect("a retry is left");
            assert!(wait <= week * 2, "{wait:?}");
        }
    }
    for used in [policy.retries(), u32::MAX] {
        assert_eq!(policy.delay(used, 0.5), None);
    }
    true
}

/// Lines of headers that a tenant adds: those that are taken can be sent.
pub(super) fn headers(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let split = |line| str::split_once(line, ": ").unwrap_or((line, ""));
    let headers: Vec<_> = text.split('\n').map(split).collect();
    if check_headers(headers.iter().copied(), &["X-Signature".to_owned()]).is_err() {
        return false;
    }
    for (name, value) in headers {
        assert!(!name.eq_ignore_ascii_case("x-signature") && !name.eq_ignore_ascii_case("host"));
        assert!(HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name}");
        assert!(HeaderValue::from_str(value).is_ok(), "{value}");
    }
    true
}

/// A URL: what is taken leads where another reader says it does, and to no forbidden address.
pub(super) fn url(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let config = EgressConfig::default();
    let Ok(target) = Target::parse(&text, &Rules::new(&config)) else {
        return false;
    };
    let other = url::Url::parse(&text).expect("a URL for others, too");
    assert_eq!(other.scheme(), "https");
    assert_eq!(other.username(), "");
    assert_eq!(other.port_or_known_default(), Some(target.port()));
    match other.host().expect("a host") {
        url::Host::Domain(name) => {
            assert_eq!(
                name.trim_end_matches('.'),
                target.host().trim_end_matches('.')
            );
        }
        url::Host::Ipv4(ip) => {
            assert!(
                AddressRule::new(&config).check_ip(ip.into()).is_ok(),
                "{ip}"
            );
        }
        url::Host::Ipv6(ip) => {
            assert!(
                AddressRule::new(&config).check_ip(ip.into()).is_ok(),
                "{ip}"
            );
        }
    }
    let again = Target::parse(target.url(), &Rules::new(&config)).expect("it was taken before");
    assert_eq!(again, target);
    true
}
