//! Profiles as they look outside.

use chrono::{DateTime, Utc};
use serde::Serialize;
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
