//! A tenant as it looks outside.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The owner of endpoints, events and deliveries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantBody {
    /// Chosen by whoever created it.
    #[schema(example = "acme")]
    pub id: String,
    /// A name for people.
    #[schema(required, example = "Acme GmbH")]
    pub name: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When its name last changed.
    pub updated_at: DateTime<Utc>,
}

/// What can be said about a tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TenantSettings)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `Fields` reads")]
pub struct TenantSettings {
    /// A name for people; null for none.
    #[schema(
        example = "Acme GmbH",
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
    )]
    name: Option<String>,
}

impl From<signpost_store::Tenant> for TenantBody {
    fn from(tenant: signpost_store::Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name,
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        }
    }
}
