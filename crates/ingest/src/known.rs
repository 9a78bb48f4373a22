//! What publishing must know of a tenant, remembered: that it exists, and which of its event
//! types are checked against a schema.
//!
//! While the database is away, an unknown tenant counts as existing and an unknown catalogue as
//! empty: the dispatcher checks both again before anything is sent.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use signpost_domain::{EventType, Problem, Schema, TenantId};
use signpost_store::{EventTypeSettings, PageRequest, Store, StoreError, Validation};

use crate::cache::{Cache, Lookup, Outage};

/// Event types that are read at once.
const PAGE: u32 = 500;

/// Tenants that are known to exist.
#[derive(Debug)]
pub struct Tenants {
    known: Cache<TenantId, ()>,
    store: Store,
}

impl Tenants {
    /// None is known yet.
    pub fn new(store: Store, outage: Arc<Outage>) -> Self {
        Self {
            known: Cache::new(outage),
            store,
        }
    }

    /// Whether the tenant exists; also when the database cannot say.
    pub async fn may_exist(&self, id: &TenantId) -> bool {
        let load = async || Ok::<_, StoreError>(self.store.find_tenant(id).await?.map(drop));
        match self.known.get(id, load).await {
            Lookup::Found(()) | Lookup::Unknown => true,
            Lookup::Absent => false,
        }
    }

    /// Forgets a tenant that has changed.
    pub fn forget(&self, id: &TenantId) {
        self.known.forget(|known, ()| known == id);
    }

    /// Asks again for every tenant at its next use.
    pub fn doubt(&self) {
        self.known.doubt();
    }
}

/// The schemas of one tenant that events are refused by.
type Catalog = HashMap<EventType, Schema>;

/// Event types whose data is checked, per tenant.
#[derive(Debug)]
pub struct Catalogs {
    known: Cache<TenantId, Arc<Catalog>>,
    store: Store,
}

impl Catalogs {
    /// None is known yet.
    pub fn new(store: Store, outage: Arc<Outage>) -> Self {
        Self {
            known: Cache::new(outage),
            store,
        }
    }

    /// What is wrong with an event's data by the schema of its type; nothing when the type has
    /// none, or none that refuses.
    pub async fn problems(
        &self,
        tenant: &TenantId,
        event_type: &EventType,
        data: &Bytes,
    ) -> Vec<Problem> {
        let Lookup::Found(catalog) = self
            .known
            .get(tenant, async || self.load(tenant).await)
            .await
        else {
            return Vec::new();
        };
        let schema = catalog.get(event_type);
        schema.map_or_else(Vec::new, |schema| schema.problems(data))
    }

    async fn load(&self, tenant: &TenantId) -> Result<Option<Arc<Catalog>>, StoreError> {
        let mut catalog = Catalog::new();
        let mut request = PageRequest::first(PAGE);
        loop {
            let page = self.store.list_event_types(tenant, &request).await?;
            for item in page.items {
                add(&mut catalog, tenant, item.settings);
            }
            match page.next_cursor {
                Some(cursor) => request.cursor = Some(cursor),
                None => return Ok(Some(Arc::new(catalog))),
            }
        }
    }

    /// Forgets what a tenant has changed.
    pub fn forget(&self, id: &TenantId) {
        self.known.forget(|known, _| known == id);
    }

    /// Asks again for everything at its next use.
    pub fn doubt(&self) {
        self.known.doubt();
    }
}

fn add(catalog: &mut Catalog, tenant: &TenantId, settings: EventTypeSettings) {
    let (Validation::Reject, Some(document)) = (settings.validation, &settings.schema) else {
        return;
    };
    match Schema::compile(document) {
        Ok(schema) => drop(catalog.insert(settings.event_type, schema)),
        // It was checked when it was stored, perhaps by another version.
        Err(error) => tracing::warn!(
            tenant.id = %tenant, event.r#type = %settings.event_type, error,
            "a stored schema cannot be used"
        ),
    }
}
