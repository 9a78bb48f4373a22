//! Who is asking: API keys, the roles they have, and the cache that knows them.
//!
//! `door` calls [`Keys::authenticate`] for every request of the API; nobody else reads the
//! `Authorization` header.

pub mod access;
pub mod key;
pub mod keys;

use signpost_domain::{KeyId, TenantId};

pub use access::{Access, Role};
pub use keys::Keys;

use crate::error::{ApiError, ErrorCode};

/// Whose key came with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What the key may do.
    pub role: Role,
    /// The one tenant it may do it in; none for an admin.
    pub tenant: Option<TenantId>,
    /// The key; none for the administrator's key from the configuration.
    pub key: Option<KeyId>,
}

impl Caller {
    /// The answer to a key whose role is not enough.
    pub fn forbidden(&self) -> ApiError {
        let role = self.role.as_str();
        ApiError::new(
            ErrorCode::Forbidden,
            format!("A key with the role `{role}` may not do this."),
        )
    }
}
