//! Profiles as they look outside.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signpost_store::StoredProfile;
use signpost_wire::Builtin;
use utoipa::ToSchema;

/// A wire profile: what requests look like.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Profile)]
pub struct ProfileBody {
    /// The name that endpoints give.
    #[schema(example = "standard-webhooks")]
    pub name: String,
    /// Whether it comes with Signpost; such profiles do not change.
    pub built_in: bool,
    /// Counts the changes of a stored profile; 0 for a built-in one.
    #[schema(example = 0)]
    pub version: i32,
    /// What it is for.
    #[schema(required, example = "Standard Webhooks")]
    pub description: Option<String>,
    /// The profile itself.
    #[schema(value_type = Object, example = json!({"body": "{data}", "success": ["200-299"]}))]
    pub profile: Value,
    /// When this version was stored; null for a built-in one.
    #[schema(required)]
    pub created_at: Option<DateTime<Utc>>,
}

/// What a profile may hold. `body`, `headers` and the parts of `signature` are templates: `{type}`,
/// `{id}`, `{tenant}`, `{timestamp}` and others stand for what belongs to the event or the attempt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `signpost_wire::Profile` reads")]
#[schema(example = json!({
    "description": "Our own", "body": {"event": "{type}", "payload": "{data}"}, "timestamp": "unix",
    "headers": {"X-Event": "{type}", "X-Delivery": "{delivery_id}"},
    "signature": {"header": "X-Signature", "algorithm": "hmac-sha256", "content": "{body}",
        "encoding": "hex", "value": "{signature}", "key": "utf8"},
    "success": ["200-299"], "retry": {"delays": ["10s", "100s"]}, "timeout": "10s"
}))]
pub struct ProfileDocument {
    /// A JSON template. A text that is exactly `{type}`, `{id}`, `{tenant}`, `{timestamp}` (when the
    /// event happened) or `{data}` is replaced; `"{data}"` alone sends the data alone. A tenant id
    /// of digits alone becomes a number.
    #[schema(value_type = Value)]
    body: Value,
    /// How times are written: `"rfc3339"`, `{"rfc3339": 3}` with fraction digits, or `"unix"`.
    #[schema(value_type = Value, required = false)]
    timestamp: Value,
    /// Name and template of each header: `{type}`, `{type_path}` (`orders.create` as
    /// `orders/create`), `{id}`, `{tenant}`, `{timestamp}` (when the event happened), `{attempt}`
    /// (its number), `{attempt_timestamp}` (when it is made, in unix seconds), `{delivery_id}`.
    #[schema(value_type = Object, required = false)]
    headers: Value,
    /// By default `application/json`.
    #[schema(value_type = String, required = false)]
    content_type: Value,
    /// How requests are signed; left out, they are not.
    #[schema(value_type = SignatureDocument, required = false)]
    signature: Value,
    /// Status codes and ranges that end a delivery well; by default `["200-299"]`.
    #[schema(value_type = Vec<String>, required = false)]
    success: Value,
    /// When failed attempts are made again: `{"delays": ["10s"]}` or `{"exponential": {…}}`, with
    /// `jitter`; and after what, in `on`: `network`, `timeout`, status codes and ranges.
    #[schema(value_type = Object, required = false)]
    retry: Value,
    /// How long an attempt may take, at most a minute; by default `15s`.
    #[schema(value_type = String, required = false)]
    timeout: Value,
    /// A sentence for people.
    #[schema(value_type = String, required = false)]
    description: Value,
}

/// How requests are signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `signpost_wire::Profile` reads")]
pub struct SignatureDocument {
    /// The header that carries it.
    header: String,
    /// `hmac-sha256` (by default), `hmac-sha512` or `ed25519`.
    #[schema(value_type = String, required = false)]
    algorithm: Value,
    /// What is signed: `{body}` (by default), with `{id}`, `{timestamp}` (when the attempt is made,
    /// in unix seconds), `{type}`, `{tenant}`, `{delivery_id}` and `{attempt}` where a header says
    /// the same.
    #[schema(value_type = String, required = false)]
    content: Value,
    /// `hex` (by default) or `base64`.
    #[schema(value_type = String, required = false)]
    encoding: Value,
    /// The header's value: `{signature}` once, `{timestamp}` at most once.
    #[schema(value_type = String, required = false)]
    value: Value,
    /// Between the signatures of several keys, while a secret is being rotated; left out, only the
    /// newest one signs.
    #[schema(value_type = String, required = false)]
    separator: Value,
    /// `utf8` (the secret's text is the key) or `base64-after-prefix` (`whsec_…`, `whsk_…`).
    #[schema(value_type = String, required = false)]
    key: Value,
    /// Whose secret: `endpoint` (by default) or `tenant`.
    #[schema(value_type = String, required = false)]
    scope: Value,
    /// With `false`, an endpoint without a secret gets its requests unsigned; by default `true`.
    #[schema(value_type = bool, required = false)]
    required: Value,
}

impl From<&Builtin> for ProfileBody {
    fn from(builtin: &Builtin) -> Self {
        Self {
            name: builtin.name.to_owned(),
            built_in: true,
            version: 0,
            description: builtin.profile.description().map(str::to_owned),
            profile: builtin.profile.document().clone(),
            created_at: None,
        }
    }
}

impl From<StoredProfile> for ProfileBody {
    fn from(stored: StoredProfile) -> Self {
        let description = stored.document.get("description");
        Self {
            name: stored.name,
            built_in: false,
            version: stored.version,
            description: description.and_then(Value::as_str).map(str::to_owned),
            profile: stored.document,
            created_at: Some(stored.created_at),
        }
    }
}
