//! Endpoints as they look outside.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A URL of a tenant with its patterns, filter, profile and settings.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub struct EndpointBody {
    /// Names it.
    #[schema(example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub id: String,
    /// A name for people.
    #[schema(example = "Billing")]
    pub name: String,
    /// Where events go.
    #[schema(example = "https://example.com/hooks")]
    pub url: String,
    /// Patterns of the event types that it gets.
    #[schema(example = json!(["license.*"]))]
    pub events: Vec<String>,
    /// Conditions on the data of the events that it gets.
    #[schema(required, value_type = Option<Object>, example = json!({"status": "published"}))]
    pub filter: Option<Value>,
    /// The wire profile: what its requests look like.
    #[schema(example = "standard-webhooks")]
    pub profile: String,
    /// `active`, `paused` (deliveries are held) or `disabled` (nothing is sent).
    #[schema(value_type = EndpointStatusBody)]
    pub status: &'static str,
    /// Why Signpost itself changed the status; null when a person did.
    #[schema(required, example = json!(null))]
    pub status_reason: Option<String>,
    /// Further headers of its requests.
    #[schema(value_type = Object, example = json!({"X-Team": "a"}))]
    pub headers: Value,
    /// When failed attempts are made again, in place of the profile's policy.
    #[schema(required, value_type = Option<RetryBody>)]
    pub retry: Option<Value>,
    /// How long an attempt may take, in place of the profile's timeout.
    #[schema(required, example = "10s")]
    pub timeout: Option<String>,
    /// Most requests per second.
    #[schema(required, example = json!(null))]
    pub rate_limit: Option<u32>,
    /// What its owner wants to remember.
    #[schema(value_type = Object, example = json!({}))]
    pub metadata: Value,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Whether deliveries are sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndpointStatus)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStatusBody {
    /// Deliveries are sent.
    Active,
    /// Deliveries are held, and sent oldest first once it is active again.
    Paused,
    /// Nothing is sent; each matching event leaves a discarded delivery.
    Disabled,
}

/// When failed attempts are made again: `delays`, or `exponential`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RetryPolicy, example = json!({"delays": ["10s", "100s"]}))]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes what `signpost_domain::RetryPolicy` reads"
)]
pub struct RetryBody {
    /// The wait before each retry; as many retries as there are delays.
    #[schema(max_items = 100, example = json!(["10s", "100s"]))]
    delays: Option<Vec<String>>,
    /// Waits that grow.
    exponential: Option<ExponentialBody>,
    /// Up to this share of each wait is added at random.
    #[schema(minimum = 0, maximum = 1, example = 0.1)]
    jitter: Option<f64>,
}

/// Waits that grow: `base`, `base × factor`, `base × factor²` …, at most `max`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Exponential)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes what `signpost_domain::RetryPolicy` reads"
)]
pub struct ExponentialBody {
    /// The first wait.
    #[schema(example = "1s")]
    base: String,
    /// What each wait is multiplied by.
    #[schema(minimum = 1, maximum = 100, example = 2)]
    factor: f64,
    /// The longest wait, at most `7d`.
    #[schema(example = "1h")]
    max: String,
    /// How many retries.
    #[schema(maximum = 100, example = 10)]
    retries: u32,
}

/// A new endpoint, with the secret that its requests are signed with.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewEndpoint {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointBody,
    /// What requests are signed with; null where the profile signs with the tenant's own secret or
    /// not at all. `GET …/secret` shows it again.
    #[schema(required, example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: Option<String>,
    /// The public half of an Ed25519 key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "whpk_…")]
    pub public_key: Option<String>,
}

/// What can be said about a new endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `Settings` reads")]
#[schema(example = json!({"name": "Billing", "url": "https://example.com/hooks", "events": ["license.*"]}))]
pub struct EndpointSettings {
    /// A name for people.
    #[schema(
        min_length = 1,
        max_length = 200,
        example = "Billing",
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
    )]
    name: String,
    /// Where events go: a public https URL.
    #[schema(
        format = "uri",
        max_length = 2048,
        example = "https://example.com/hooks"
    )]
    url: String,
    /// Event types, `*` for everything, `post.*`, `*.created`. Signpost's own events
    /// (`endpoint.disabled`, `endpoint.paused`, `endpoint.recovering`, `delivery.failed`) must be
    /// asked for: `*` leaves them out.
    #[schema(min_items = 1, max_items = 100, example = json!(["license.*"]))]
    events: Vec<String>,
    /// Conditions on the data, written as MongoDB queries are.
    #[schema(value_type = Option<Object>, example = json!({"status": "published"}))]
    filter: Option<Value>,
    /// The wire profile; by default `standard-webhooks`.
    #[schema(example = "standard-webhooks")]
    profile: Option<String>,
    /// By default `active`.
    #[schema(value_type = Option<EndpointStatusBody>)]
    status: Option<String>,
    /// At most 20 further headers for its requests.
    #[schema(value_type = Option<Object>, example = json!({"X-Team": "a"}))]
    headers: Option<Value>,
    /// When failed attempts are made again; by default as the profile says.
    #[schema(value_type = Option<RetryBody>)]
    retry: Option<Value>,
    /// How long an attempt may take, at most a minute; by default the profile's.
    #[schema(example = "10s", pattern = "^[0-9]{1,9}(ms|s|m|h|d)$")]
    timeout: Option<String>,
    /// Most requests per second.
    #[schema(minimum = 1, maximum = 10000, example = 10)]
    rate_limit: Option<i32>,
    /// What its owner wants to remember: any JSON object of at most 16 KiB.
    #[schema(value_type = Option<Object>, example = json!({"crm_id": "4711"}))]
    metadata: Option<Value>,
    /// What requests are signed with; by default a strong one is made. Not for profiles that sign
    /// with the tenant's own secret. `null` sends without a signature, where the profile does not
    /// require one.
    #[schema(
        min_length = 1,
        max_length = 512,
        example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    )]
    secret: Option<String>,
    /// Takes a `secret` of fewer than 16 characters. Do not.
    force: Option<bool>,
}

/// What can be changed; `null` takes a setting back to its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `Settings` reads")]
#[schema(example = json!({"status": "paused"}))]
pub struct EndpointChanges {
    /// A name for people.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
    )]
    name: Option<String>,
    /// Where events go.
    #[schema(format = "uri", max_length = 2048)]
    url: Option<String>,
    /// Event types and patterns.
    #[schema(min_items = 1, max_items = 100)]
    events: Option<Vec<String>>,
    /// Conditions on the data.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// The wire profile. Its secret must fit the new one.
    profile: Option<String>,
    /// Whether deliveries are sent.
    #[schema(value_type = Option<EndpointStatusBody>)]
    status: Option<String>,
    /// All further headers.
    #[schema(value_type = Option<Object>)]
    headers: Option<Value>,
    /// The retry policy.
    #[schema(value_type = Option<RetryBody>)]
    retry: Option<Value>,
    /// How long an attempt may take.
    #[schema(pattern = "^[0-9]{1,9}(ms|s|m|h|d)$")]
    timeout: Option<String>,
    /// Most requests per second.
    #[schema(minimum = 1, maximum = 10000)]
    rate_limit: Option<i32>,
    /// What its owner wants to remember.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// What a test send brings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `Fields` reads")]
#[schema(example = json!({"type": "license.created", "data": {"license": "A-1"}}))]
pub struct TestEvent {
    /// The event type; by default `signpost.test`.
    #[serde(rename = "type")]
    #[schema(max_length = 128, pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")]
    event_type: Option<String>,
    /// The data; by default a greeting.
    #[schema(value_type = Option<Value>)]
    data: Option<Value>,
}

/// What a test send gave.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestResult {
    /// Whether the receiver took it, by the profile's rule.
    pub success: bool,
    /// The receiver's status code, if it answered.
    #[schema(required, example = 200)]
    pub status_code: Option<u16>,
    /// How long it took, name look-up included.
    #[schema(example = 42)]
    pub duration_ms: u64,
    /// Why it failed.
    #[schema(required, example = json!(null))]
    pub error: Option<String>,
    /// The first 16 KiB of the receiver's answer.
    #[schema(required, example = "ok")]
    pub response_body: Option<String>,
    /// The delivery that the attempt is recorded under.
    #[schema(required, example = "dlv_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub delivery_id: Option<String>,
}

/// An event that is only imagined.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `Fields` reads")]
#[schema(example = json!({"type": "license.created", "data": {"status": "published"}}))]
pub struct PreviewEvent {
    /// Its type.
    #[serde(rename = "type")]
    #[schema(
        example = "license.created",
        max_length = 128,
        pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
    )]
    event_type: String,
    /// Its data.
    #[schema(value_type = Option<Value>, example = json!({"status": "published"}))]
    data: Option<Value>,
}

/// Which endpoints would get an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// Every endpoint of the tenant; those that would get it first.
    pub items: Vec<PreviewItem>,
}

/// Whether an endpoint would get an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewItem {
    /// The endpoint.
    #[schema(example = "ep_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub endpoint_id: String,
    /// Its name.
    #[schema(example = "Billing")]
    pub name: String,
    /// Whether it would get the event.
    pub matches: bool,
    /// What would happen, or why it would not get it.
    #[schema(example = "pattern license.* matches")]
    pub reason: String,
}

/// Since when deliveries are to be sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `Fields` reads")]
#[schema(example = json!({"since": "2026-01-31T00:00:00Z", "until": "2026-02-01T00:00:00Z"}))]
pub struct RecoverRange {
    /// Deliveries created at or after this time.
    since: DateTime<Utc>,
    /// Deliveries created before this time; by default now.
    until: Option<DateTime<Utc>>,
}

impl From<signpost_store::Endpoint> for EndpointBody {
    fn from(stored: signpost_store::Endpoint) -> Self {
        let settings = stored.settings;
        Self {
            id: stored.id.to_string(),
            name: settings.name,
            url: settings.url,
            events: settings.events,
            filter: settings.filter,
            profile: settings.profile,
            status: settings.status.as_str(),
            status_reason: stored.status_reason,
            headers: settings.headers,
            retry: settings.retry,
            timeout: settings.timeout,
            rate_limit: settings.rate_limit,
            metadata: settings.metadata,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}
