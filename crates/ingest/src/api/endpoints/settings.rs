//! What a caller may say about an endpoint, read and checked. Pure: URL rules and the profile are
//! handed in.
//!
//! Create and change share every rule; they differ in what must be there. A change says `null` to
//! take a setting back to its default.

use std::time::Duration;

use serde_json::{Map, Value};
use signpost_domain::{
    EndpointStatus, Filter, Pattern, RetryPolicy, endpoint, headers::check_headers, policy,
};
use signpost_egress::{Egress, Target};
use signpost_store::EndpointSettings;
use signpost_wire::{DEFAULT_PROFILE, Profile};

use crate::http::Fields;

/// Largest `metadata` of an endpoint, as JSON text in bytes.
const MAX_METADATA: usize = 16 * 1024;
/// Largest `rate_limit`, in requests per second.
const MAX_RATE: i64 = 10_000;

/// Settings that were named; `None` is "not named". For those that may be absent the inner
/// `None` is "back to the default".
#[derive(Debug, Default)]
pub struct Settings {
    /// Name for people.
    pub name: Option<String>,
    /// Where to.
    pub url: Option<Target>,
    /// Which event types.
    pub events: Option<Vec<Pattern>>,
    /// Which contents.
    pub filter: Option<Option<Value>>,
    /// The wire profile's name.
    pub profile: Option<String>,
    /// Whether deliveries are sent.
    pub status: Option<EndpointStatus>,
    /// Further headers.
    pub headers: Option<Map<String, Value>>,
    /// The retry policy in place of the profile's.
    pub retry: Option<Option<Value>>,
    /// The timeout in place of the profile's, as written.
    pub timeout: Option<Option<String>>,
    /// Requests per second.
    pub rate_limit: Option<Option<u32>>,
    /// What the owner wants to remember.
    pub metadata: Option<Map<String, Value>>,
}

impl Settings {
    /// Reads everything that needs no profile; problems are noted in `fields`.
    pub fn read(fields: &mut Fields, egress: &Egress) -> Self {
        Self {
            name: read_name(fields),
            url: fields.parsed("url", |url| egress.target(url)),
            events: read_patterns(fields),
            filter: nullable(fields, "filter", read_filter),
            profile: nullable(fields, "profile", |fields| fields.text("profile"))
                .map(|name| name.unwrap_or_else(|| DEFAULT_PROFILE.to_owned())),
            status: read_status(fields),
            headers: nullable(fields, "headers", |fields| fields.object("headers"))
                .map(Option::unwrap_or_default),
            retry: nullable(fields, "retry", read_retry),
            timeout: nullable(fields, "timeout", read_timeout),
            rate_limit: nullable(fields, "rate_limit", read_rate),
            metadata: nullable(fields, "metadata", read_metadata).map(Option::unwrap_or_default),
        }
    }

    /// The settings of a new endpoint, or of one that stood as `before`; `None` when something is
    /// missing, which is noted elsewhere.
    pub fn onto(self, before: Option<EndpointSettings>) -> Option<EndpointSettings> {
        let (name, url) = (self.name, self.url.map(|target| target.url().to_owned()));
        let events = self.events.map(|patterns| {
            let texts = patterns.iter().map(|pattern| pattern.as_str().to_owned());
            texts.collect()
        });
        let before = match before {
            Some(before) => before,
            None => EndpointSettings {
                name: name.clone()?,
                url: url.clone()?,
                events: Vec::clone(events.as_ref()?),
                filter: None,
                profile: DEFAULT_PROFILE.to_owned(),
                status: EndpointStatus::Active,
                headers: Value::Object(Map::new()),
                retry: None,
                timeout: None,
                rate_limit: None,
                metadata: Value::Object(Map::new()),
            },
        };
        Some(EndpointSettings {
            name: name.unwrap_or(before.name),
            url: url.unwrap_or(before.url),
            events: events.unwrap_or(before.events),
            filter: self.filter.unwrap_or(before.filter),
            profile: self.profile.unwrap_or(before.profile),
            status: self.status.unwrap_or(before.status),
            headers: self.headers.map_or(before.headers, Value::Object),
            retry: self.retry.unwrap_or(before.retry),
            timeout: self.timeout.unwrap_or(before.timeout),
            rate_limit: self.rate_limit.unwrap_or(before.rate_limit),
            metadata: self.metadata.map_or(before.metadata, Value::Object),
        })
    }

    /// Notes what a new endpoint lacks.
    pub fn require(&self, fields: &mut Fields) {
        fields.require("name", self.name.is_some());
        fields.require("url", self.url.is_some());
        fields.require("events", self.events.is_some());
    }
}

/// Checks headers against what HTTP, Signpost and the profile set themselves.
pub fn check_custom_headers(fields: &mut Fields, headers: &Map<String, Value>, profile: &Profile) {
    let mut texts = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        match value {
            Value::String(text) => texts.push((name.as_str(), text.as_str())),
            _other => {
                let name = crate::http::fields::escape(name);
                fields.problem(&format!("headers/{name}"), "a header's value is a text");
            }
        }
    }
    let reserved: Vec<String> = profile.header_names().map(str::to_owned).collect();
    fields.check(check_headers(texts, &reserved));
}

/// Reads a field that may be null: absent is `None`, null is `Some(None)`. A value that is wrong
/// is noted and gives `Some(None)`, which is not used then.
#[expect(
    clippy::option_option,
    reason = "a change knows three cases: as it is, back to default, this"
)]
fn nullable<T>(
    fields: &mut Fields,
    name: &str,
    read: impl FnOnce(&mut Fields) -> Option<T>,
) -> Option<Option<T>> {
    let is_named = fields.names(name);
    let value = read(fields);
    is_named.then_some(value)
}

fn read_name(fields: &mut Fields) -> Option<String> {
    let name = fields.text("name")?;
    fields.check(endpoint::check_name(&name))?;
    Some(name)
}

fn read_patterns(fields: &mut Fields) -> Option<Vec<Pattern>> {
    let texts = fields.texts("events")?;
    fields.check(endpoint::check_patterns(&texts))
}

fn read_filter(fields: &mut Fields) -> Option<Value> {
    let filter = fields.value("filter")?;
    fields.check(Filter::parse(&filter, "/filter"))?;
    // No condition is no filter.
    let is_empty = filter.as_object().is_some_and(Map::is_empty);
    (!is_empty).then_some(filter)
}

fn read_status(fields: &mut Fields) -> Option<EndpointStatus> {
    fields.parsed("status", |text| {
        EndpointStatus::parse(text).ok_or("write `active`, `paused` or `disabled`")
    })
}

fn read_retry(fields: &mut Fields) -> Option<Value> {
    let retry = fields.value("retry")?;
    let policy = fields.check(RetryPolicy::parse(&retry, "/retry"))?;
    if policy.on.is_some() {
        fields.problem(
            "retry/on",
            "what is retried is said by the profile; an endpoint says when",
        );
    }
    Some(retry)
}

fn read_timeout(fields: &mut Fields) -> Option<String> {
    let text = fields.text("timeout")?;
    let timeout: Duration = fields.check(policy::parse_timeout(&text, "/timeout"))?;
    Some(signpost_domain::format_duration(timeout))
}

fn read_rate(fields: &mut Fields) -> Option<u32> {
    let value = fields.value("rate_limit")?;
    let rate = value.as_i64().filter(|rate| (1..=MAX_RATE).contains(rate));
    let rate = rate.and_then(|rate| u32::try_from(rate).ok());
    if rate.is_none() {
        fields.problem(
            "rate_limit",
            format!("requests per second: a whole number from 1 to {MAX_RATE}, or null"),
        );
    }
    rate
}

fn read_metadata(fields: &mut Fields) -> Option<Map<String, Value>> {
    let metadata = fields.object("metadata")?;
    let length = serde_json::to_vec(&metadata).map_or(0, |json| json.len());
    if length > MAX_METADATA {
        fields.problem("metadata", format!("at most {MAX_METADATA} bytes of JSON"));
    }
    Some(metadata)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use signpost_egress::EgressConfig;

    use super::*;
    use crate::error::ApiError;

    fn read(json: &str) -> Result<Settings, ApiError> {
        read_with(&Egress::new(&EgressConfig::default()).unwrap(), json)
    }

    fn read_with(egress: &Egress, json: &str) -> Result<Settings, ApiError> {
        let mut fields = Fields::parse(json.as_bytes())?;
        let settings = Settings::read(&mut fields, egress);
        settings.require(&mut fields);
        if let Some(headers) = &settings.headers {
            let profile = signpost_wire::find_builtin("privato").unwrap();
            check_custom_headers(&mut fields, headers, &profile);
        }
        fields.finish().map(|()| settings)
    }

    fn pointers(json: &str) -> Vec<String> {
        let errors = read(json).unwrap_err().body().errors;
        errors.into_iter().map(|error| error.pointer).collect()
    }

    #[tokio::test]
    async fn reads_the_contract_s_example() {
        let settings = read(
            r#"{"name":"Billing","url":"https://example.com/hooks","events":["license.*"],
            "filter":{"status":"published"},"profile":"standard-webhooks","status":"active",
            "headers":{"X-Team":"a"},"retry":null,"timeout":"60s","rate_limit":10,"metadata":{}}"#,
        )
        .unwrap();
        assert_eq!(settings.name.as_deref(), Some("Billing"));
        assert_eq!(settings.retry, Some(None));
        assert_eq!(settings.timeout, Some(Some("1m".to_owned())));
        assert_eq!(settings.rate_limit, Some(Some(10)));
    }

    #[tokio::test]
    async fn names_every_problem_at_once() {
        assert_eq!(pointers("{}"), ["/name", "/url", "/events"]);
        let bad = r#"{"name":" ","url":"http://10.0.0.1","events":[],"filter":{"a":{"$x":1}},
            "status":"on","headers":{"Host":"a","X-Signature":"b","X-A":1},"retry":{"delays":["soon"]},
            "timeout":"2h","rate_limit":0,"metadata":[],"color":"red"}"#;
        assert_eq!(
            pointers(bad),
            [
                "/name",
                "/url",
                "/events",
                "/filter/a/$x",
                "/status",
                "/retry/delays/0",
                "/timeout",
                "/rate_limit",
                "/metadata",
                "/headers/X-A",
                "/headers/Host",
                "/headers/X-Signature",
                "/color"
            ]
        );
    }

    /// JSON of any shape that is not too large, with words that mean something in it.
    fn any_json() -> impl Strategy<Value = Value> {
        let word = proptest::sample::select(vec![
            "*",
            "a.*",
            "10s",
            "$and",
            "$regex",
            "delays",
            "exponential",
            "base",
            "factor",
            "jitter",
            "https://example.com/",
            "http://[::1]:80",
            "X-A",
            "active",
        ]);
        let text = prop_oneof![word.prop_map(str::to_owned), ".{0,12}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((text.clone(), inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// Made once: that takes longer than reading. Its runtime has ended; reading needs none.
    static EGRESS: LazyLock<Egress> = LazyLock::new(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _in_runtime = runtime.enter();
        Egress::new(&EgressConfig::default()).unwrap()
    });

    const FIELDS: [&str; 12] = [
        "name",
        "url",
        "events",
        "filter",
        "profile",
        "status",
        "headers",
        "retry",
        "timeout",
        "rate_limit",
        "metadata",
        "other",
    ];

    proptest! {
        #[test]
        fn whatever_the_fields_hold_it_is_taken_or_each_problem_named(
            values in proptest::collection::vec((proptest::sample::select(FIELDS.to_vec()), any_json()), 0..6),
        ) {
            let body: Map<String, Value> =
                values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            if let Err(error) = read_with(&EGRESS, &Value::Object(body).to_string()) {
                let errors = error.body().errors;
                prop_assert!(!errors.is_empty());
                for error in errors {
                    let is_one = |field: &&str| error.pointer.starts_with(&format!("/{field}"));
                    prop_assert!(FIELDS.iter().any(is_one), "{}", error.pointer);
                }
            }
        }
    }
}
