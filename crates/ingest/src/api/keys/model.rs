//! API keys as they look outside.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a key may do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Role)]
#[serde(rename_all = "snake_case")]
pub enum RoleBody {
    /// Everything, in all tenants.
    Admin,
    /// Everything in one tenant.
    Manager,
    /// Publish events of one tenant.
    Publisher,
    /// One tenant's endpoints and deliveries, for a limited time: for a customer's own page.
    Portal,
}

/// A key without its secret part.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyBody {
    /// Names it; the key itself holds the same characters after `sp_`.
    #[schema(example = "key_01jd8p4z3mfjrtvxq5s2w9hk6e")]
    pub id: String,
    /// What it may do.
    #[schema(value_type = RoleBody)]
    pub role: &'static str,
    /// The tenant it belongs to; null for an admin key.
    #[schema(required, example = "acme")]
    pub tenant: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops being valid; null for never.
    #[schema(required)]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute or so; null for never.
    #[schema(required)]
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A new key. Only this answer holds the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewKey {
    /// The key: keep it, it is not shown again.
    #[schema(example = "sp_01jd8p4z3mfjrtvxq5s2w9hk6e_0f1e…")]
    pub key: String,
    /// The same as in the list of keys.
    #[serde(flatten)]
    pub about: KeyBody,
}

/// What a new key is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `Fields` reads")]
pub struct KeySettings {
    /// What it may do. `admin` is for all tenants, and only an admin makes it.
    #[schema(value_type = RoleBody, example = "publisher")]
    role: String,
    /// How long it is valid, as in `30d`; by default for ever, and 24 hours for a `portal` key.
    #[schema(example = "30d", pattern = "^[0-9]{1,6}(ms|s|m|h|d)$")]
    expires_in: Option<String>,
}

/// Who is asking.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// What the key may do.
    #[schema(value_type = RoleBody)]
    pub role: &'static str,
    /// The one tenant it may do it in; null for an admin.
    #[schema(required)]
    pub tenant: Option<String>,
    /// The key's id; null for the administrator's key from the configuration.
    #[schema(required)]
    pub key_id: Option<String>,
}

impl From<signpost_store::ApiKey> for KeyBody {
    fn from(key: signpost_store::ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            role: key.role.as_str(),
            tenant: key.tenant.map(|tenant| tenant.to_string()),
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}
