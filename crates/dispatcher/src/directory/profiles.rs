//! Profiles by name and version: the built-in ones, and custom ones as they are asked for. A
//! version never changes, so nothing here grows old.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;
use signpost_domain::DeliveryPolicy;
use signpost_store::{Store, StoreError};
use signpost_wire::Profile;

use super::LoadedProfile;

/// Most custom profile versions kept; an operator has a few dozen at most.
const MAX_CUSTOM: usize = 1_000;

#[derive(Debug)]
pub(super) struct Profiles {
    store: Store,
    builtin: HashMap<String, Arc<LoadedProfile>>,
    custom: RwLock<HashMap<(String, u32), Arc<LoadedProfile>>>,
    /// The newest version of each custom profile, as far as it was asked for.
    newest: RwLock<HashMap<String, Arc<LoadedProfile>>>,
}

impl Profiles {
    pub(super) fn new(store: Store) -> Self {
        let builtin = signpost_wire::builtin()
            .iter()
            .filter_map(|builtin| {
                ready(builtin.name, 0, signpost_wire::find_builtin(builtin.name)?)
            })
            .map(|profile| (profile.name.clone(), Arc::new(profile)))
            .collect();
        Self {
            store,
            builtin,
            custom: RwLock::default(),
            newest: RwLock::default(),
        }
    }

    /// A profile at a version; built-in ones have version 0.
    pub(super) async fn find(
        &self,
        name: &str,
        version: u32,
    ) -> Result<Option<Arc<LoadedProfile>>, StoreError> {
        if let Some(profile) = self.builtin.get(name) {
            return Ok(Some(Arc::clone(profile)));
        }
        let key = (name.to_owned(), version);
        if let Some(profile) = self
            .custom
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Ok(Some(Arc::clone(profile)));
        }
        let Some(row) = self
            .store
            .find_profile_version(name, i32::try_from(version).unwrap_or(0))
            .await?
        else {
            return Ok(None);
        };
        Ok(self.keep(name, version, row.document))
    }

    /// The newest version of a profile.
    pub(super) async fn newest(
        &self,
        name: &str,
    ) -> Result<Option<Arc<LoadedProfile>>, StoreError> {
        if let Some(profile) = self.builtin.get(name) {
            return Ok(Some(Arc::clone(profile)));
        }
        if let Some(profile) = self
            .newest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return Ok(Some(Arc::clone(profile)));
        }
        let Some(row) = self.store.find_profile(name).await? else {
            return Ok(None);
        };
        let Some(profile) = self.keep(name, row.version.unsigned_abs(), row.document) else {
            return Ok(None);
        };
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        newest.insert(name.to_owned(), Arc::clone(&profile));
        Ok(Some(profile))
    }

    /// Looks the newest versions up anew from now on.
    pub(super) fn forget_newest(&self) {
        self.newest
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn keep(&self, name: &str, version: u32, document: Value) -> Option<Arc<LoadedProfile>> {
        let wire = match Profile::from_document(document) {
            Ok(wire) => wire,
            Err(error) => {
                tracing::error!(profile = name, version, %error, "a stored profile cannot be read");
                return None;
            }
        };
        let loaded = Arc::new(ready(name, version, wire)?);
        let mut custom = self.custom.write().unwrap_or_else(PoisonError::into_inner);
        if custom.len() >= MAX_CUSTOM {
            custom.clear();
        }
        custom.insert((name.to_owned(), version), Arc::clone(&loaded));
        Some(loaded)
    }
}

/// Reads the policy beside the wire format.
fn ready(name: &str, version: u32, wire: Profile) -> Option<LoadedProfile> {
    match DeliveryPolicy::parse(wire.success(), wire.retry(), wire.timeout()) {
        Ok(policy) => Some(LoadedProfile {
            name: name.to_owned(),
            version,
            wire,
            policy: Arc::new(policy),
        }),
        Err(problems) => {
            tracing::error!(
                profile = name,
                version,
                ?problems,
                "a profile's policy cannot be read"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_has_a_policy_that_can_be_read() {
        for builtin in signpost_wire::builtin() {
            let wire = signpost_wire::find_builtin(builtin.name).unwrap();
            assert!(ready(builtin.name, 0, wire).is_some(), "{}", builtin.name);
        }
    }
}
