//! The directory: the subscriptions of every tenant that has traffic, in memory.
//!
//! Loaded on demand. Fan-out compares versions with the database before each batch, so an endpoint
//! that exists when an event is published gets it. Attempts read what notifications keep fresh,
//! well within a second. Never written to; holds secrets, which are wiped when replaced. Tenants
//! without traffic for an hour are forgotten.

mod endpoint;
mod index;
mod load;
mod profiles;
mod tenant;
mod tenants;
mod watch;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use chrono::TimeDelta;
use signpost_domain::{Clock, TenantId};
use signpost_egress::Rules;
use signpost_store::{Store, StoreError};
use tokio::sync::{Mutex, MutexGuard};

pub use endpoint::{EndpointEntry, LoadedProfile, Overrides, Secrets};
pub use tenant::{TenantDirectory, TypeSchema};
pub(crate) use watch::watch;

use profiles::Profiles;
use tenants::Tenants;

/// How long a tenant stays in memory that nothing asks for.
const UNUSED_FOR: TimeDelta = TimeDelta::hours(1);

/// The subscriptions in memory.
#[derive(Debug)]
pub struct Directory {
    store: Store,
    clock: Arc<dyn Clock>,
    rules: Rules,
    profiles: Profiles,
    tenants: Tenants,
    /// Held while a tenant is read, one for several tenants: a large one that a thousand deliveries
    /// ask for at once is read once, not a thousand times at the same time.
    reading: [Mutex<()>; 64],
}

impl Directory {
    /// An empty directory.
    pub fn new(store: Store, clock: Arc<dyn Clock>, rules: Rules) -> Self {
        Self {
            profiles: Profiles::new(store.clone()),
            store,
            clock,
            rules,
            tenants: Tenants::default(),
            reading: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Whether the tenant is in memory.
    pub fn is_loaded(&self, tenant: &TenantId) -> bool {
        self.tenants.has(tenant)
    }

    /// The tenant as it was when last loaded, loading it if it is not there.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn tenant(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<Arc<TenantDirectory>>, StoreError> {
        self.cached_or_read(tenant, |_| true).await
    }

    /// These tenants as the database has them now; those that do not exist are left out.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn fresh(
        &self,
        tenants: &[TenantId],
    ) -> Result<HashMap<TenantId, Arc<TenantDirectory>>, StoreError> {
        let versions = self.store.tenant_versions(tenants).await?;
        let mut found = HashMap::with_capacity(tenants.len());
        for tenant in tenants {
            let Some(version) = versions.get(tenant) else {
                self.tenants.forget(tenant);
                continue;
            };
            let is_current = |directory: &Arc<TenantDirectory>| directory.version == *version;
            if let Some(directory) = self.cached_or_read(tenant, is_current).await? {
                found.insert(tenant.clone(), directory);
            }
        }
        Ok(found)
    }

    /// A profile at a version, if there is (or was) one.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn profile(
        &self,
        name: &str,
        version: u32,
    ) -> Result<Option<Arc<LoadedProfile>>, StoreError> {
        self.profiles.find(name, version).await
    }

    /// The tenant as it is in memory if that is good enough, or as it is read now.
    async fn cached_or_read(
        &self,
        tenant: &TenantId,
        is_good: impl Fn(&Arc<TenantDirectory>) -> bool,
    ) -> Result<Option<Arc<TenantDirectory>>, StoreError> {
        if let Some(directory) = self.cached(tenant).filter(&is_good) {
            return Ok(Some(directory));
        }
        let _turn = self.turn(tenant).await;
        match self.cached(tenant).filter(&is_good) {
            Some(directory) => Ok(Some(directory)),
            None => self.load_in_turn(tenant).await,
        }
    }

    /// Waits until nobody else reads the tenant.
    async fn turn(&self, tenant: &TenantId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        tenant.hash(&mut hasher);
        let place = hasher.finish() % self.reading.len() as u64;
        // Less than the number of places.
        self.reading[usize::try_from(place).unwrap_or(0)]
            .lock()
            .await
    }

    fn cached(&self, tenant: &TenantId) -> Option<Arc<TenantDirectory>> {
        self.tenants.find(tenant, self.clock.now())
    }

    async fn load(&self, tenant: &TenantId) -> Result<Option<Arc<TenantDirectory>>, StoreError> {
        let _turn = self.turn(tenant).await;
        self.load_in_turn(tenant).await
    }

    async fn load_in_turn(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<Arc<TenantDirectory>>, StoreError> {
        let Some(loaded) = self.read(tenant).await? else {
            self.tenants.forget(tenant);
            return Ok(None);
        };
        let now = self.clock.now();
        Ok(Some(self.tenants.keep(tenant, Arc::new(loaded), now)))
    }

    /// Forgets tenants without traffic.
    fn forget_unused(&self) {
        self.tenants.forget_unused(self.clock.now() - UNUSED_FOR);
    }

    /// Custom profiles are looked up anew from now on.
    fn forget_newest_profiles(&self) {
        self.profiles.forget_newest();
    }

    /// The tenants in memory.
    fn loaded(&self) -> Vec<TenantId> {
        self.tenants.names()
    }
}
