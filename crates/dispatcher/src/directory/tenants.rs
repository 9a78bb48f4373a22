//! The tenants in memory, and when each was last asked for.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, Utc};
use signpost_domain::TenantId;

use super::TenantDirectory;

/// Tenants by name.
#[derive(Debug, Default)]
pub(super) struct Tenants(RwLock<HashMap<TenantId, Loaded>>);

#[derive(Debug)]
struct Loaded {
    directory: Arc<TenantDirectory>,
    /// Seconds since 1970.
    asked_for_at: AtomicI64,
}

impl Tenants {
    /// The tenant, which is asked for now.
    pub(super) fn find(
        &self,
        tenant: &TenantId,
        now: DateTime<Utc>,
    ) -> Option<Arc<TenantDirectory>> {
        let tenants = self.read();
        let loaded = tenants.get(tenant)?;
        loaded
            .asked_for_at
            .store(now.timestamp(), Ordering::Relaxed);
        Some(Arc::clone(&loaded.directory))
    }

    /// Whether the tenant is there.
    pub(super) fn has(&self, tenant: &TenantId) -> bool {
        self.read().contains_key(tenant)
    }

    /// Keeps what was loaded, unless what is there is newer: two loads may overlap. Gives the newer.
    pub(super) fn keep(
        &self,
        tenant: &TenantId,
        directory: Arc<TenantDirectory>,
        now: DateTime<Utc>,
    ) -> Arc<TenantDirectory> {
        let mut tenants = self.write();
        let loaded = tenants.entry(tenant.clone()).or_insert_with(|| Loaded {
            directory: Arc::clone(&directory),
            asked_for_at: AtomicI64::new(now.timestamp()),
        });
        if loaded.directory.version <= directory.version {
            loaded.directory = directory;
        }
        Arc::clone(&loaded.directory)
    }

    /// The tenant is no more.
    pub(super) fn forget(&self, tenant: &TenantId) {
        self.write().remove(tenant);
    }

    /// Forgets those that nobody has asked for since then.
    pub(super) fn forget_unused(&self, since: DateTime<Utc>) {
        self.write()
            .retain(|_, loaded| loaded.asked_for_at.load(Ordering::Relaxed) >= since.timestamp());
    }

    /// All that are there.
    pub(super) fn names(&self) -> Vec<TenantId> {
        self.read().keys().cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<TenantId, Loaded>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<TenantId, Loaded>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Secrets;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn loaded(version: i64) -> Arc<TenantDirectory> {
        Arc::new(TenantDirectory::new(
            version,
            Secrets::default(),
            HashMap::new(),
        ))
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let [acme, other] = ["acme", "other"].map(|name| TenantId::parse(name).unwrap());
        let tenants = Tenants::default();
        for tenant in [&acme, &other] {
            tenants.keep(tenant, loaded(1), at(0));
        }
        tenants.find(&acme, at(100)).unwrap();
        // A change of its settings does not keep a tenant that has no traffic.
        tenants.keep(&other, loaded(2), at(150));
        tenants.forget_unused(at(100));
        assert_eq!(tenants.names(), [acme]);
    }

    #[test]
    fn the_newer_of_two_loads_stays() {
        let acme = TenantId::parse("acme").unwrap();
        let tenants = Tenants::default();
        for (version, newest) in [(2, 2), (1, 2), (3, 3)] {
            assert_eq!(tenants.keep(&acme, loaded(version), at(0)).version, newest);
            assert_eq!(tenants.find(&acme, at(0)).unwrap().version, newest);
        }
    }
}
