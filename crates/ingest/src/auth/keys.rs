//! Finds the key of a request: the administrator's from the configuration, or a stored one.
//!
//! Stored keys are remembered by the SHA-256 of their text, so a request costs one hash and one
//! look into memory. A revoked key is forgotten as soon as the store announces it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use signpost_domain::{Clock, KeyId};
use signpost_store::Store;
use subtle::ConstantTimeEq;

use super::{Caller, Role, key};
use crate::{
    cache::{Cache, Lookup, Outage},
    error::{ApiError, ErrorCode},
};

/// A stored key as it is remembered.
#[derive(Debug)]
struct Known {
    id: KeyId,
    caller: Caller,
    expires_at: Option<DateTime<Utc>>,
    /// Whether it has been used since that was last written down.
    used: AtomicBool,
}

/// All keys.
#[derive(Debug)]
pub struct Keys {
    /// SHA-256 of the administrator's key.
    admin: Option<[u8; 32]>,
    stored: Cache<[u8; 32], Arc<Known>>,
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Keys {
    /// No stored key is remembered yet.
    pub fn new(
        admin: Option<&SecretString>,
        store: Store,
        clock: Arc<dyn Clock>,
        outage: Arc<Outage>,
    ) -> Self {
        Self {
            admin: admin.map(|key| key::hash(key.expose_secret())),
            stored: Cache::new(outage),
            store,
            clock,
        }
    }

    /// Finds out who is asking.
    ///
    /// # Errors
    /// `unauthenticated`; or `database_unavailable` for a key that is not remembered while the
    /// database is away.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let token = bearer(headers)?;
        let hash = key::hash(token);
        if let Some(admin) = &self.admin
            && bool::from(admin.ct_eq(&hash))
        {
            return Ok(Caller {
                role: Role::Admin,
                tenant: None,
                key: None,
            });
        }
        match self
            .stored
            .get(&hash, async || self.load(token, &hash).await)
            .await
        {
            Lookup::Found(known) => {
                if known.expires_at.is_some_and(|end| end <= self.clock.now()) {
                    return Err(unauthenticated("This API key has expired."));
                }
                known.used.store(true, Ordering::Relaxed);
                Ok(known.caller.clone())
            }
            Lookup::Absent => Err(unauthenticated(
                "This API key is not valid. It may be mistyped or revoked.",
            )),
            Lookup::Unknown if key::read_id(token).is_none() => Err(unauthenticated(
                "This API key is not valid. It may be mistyped.",
            )),
            Lookup::Unknown => Err(ApiError::new(
                ErrorCode::DatabaseUnavailable,
                "The database does not answer, so this API key cannot be checked now.",
            )
            .retry_after(2)),
        }
    }

    async fn load(
        &self,
        token: &str,
        hash: &[u8; 32],
    ) -> Result<Option<Arc<Known>>, signpost_store::StoreError> {
        let Some(id) = key::read_id(token) else {
            return Ok(None);
        };
        // Found by the hash of 256 random bits: a look-up whose time tells nothing of use.
        let found = self.store.find_key_by_hash(hash).await?;
        Ok(found.filter(|found| found.id == id).map(|found| {
            Arc::new(Known {
                caller: Caller {
                    role: found.role,
                    tenant: found.tenant,
                    key: Some(found.id.clone()),
                },
                id: found.id,
                expires_at: found.expires_at,
                used: AtomicBool::new(false),
            })
        }))
    }

    /// Forgets a key that was changed.
    pub fn forget(&self, id: &KeyId) {
        self.stored.forget(|_, known| known.id == *id);
    }

    /// Asks the database again for each key at its next use.
    pub fn doubt(&self) {
        self.stored.doubt();
    }

    /// Writes down which keys were used since this was last called.
    ///
    /// # Errors
    /// The database cannot be reached; the uses are lost.
    pub async fn note_uses(&self) -> Result<(), signpost_store::StoreError> {
        let now = self.clock.now();
        let mut used = Vec::new();
        self.stored.for_each(|known| {
            if known.used.swap(false, Ordering::Relaxed) {
                used.push((known.id.clone(), now));
            }
        });
        if used.is_empty() {
            return Ok(());
        }
        self.store.touch_keys(&used).await
    }
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        unauthenticated("Send an API key with the header `Authorization: Bearer KEY`.")
    })?;
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| unauthenticated("The header must be `Authorization: Bearer KEY`."))
}

fn unauthenticated(detail: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthenticated, detail)
}
