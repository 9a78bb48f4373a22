//! What every handler works with: built once at start, shared by all requests.

use std::sync::Arc;

use signpost_broker::{Broker, Publisher};
use signpost_domain::{Clock, EndpointId, TenantId};
use signpost_egress::Egress;
use signpost_store::Store;
use tokio::sync::Semaphore;

use crate::{
    auth::Keys,
    backlog::Backlog,
    bucket::Buckets,
    known::{Catalogs, Tenants},
    metrics::Metrics,
};

/// A handle to all of it.
pub type App = Arc<Parts>;

/// The service's parts.
#[derive(Debug)]
pub struct Parts {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The ledger.
    pub store: Store,
    /// The broker's management: rejected messages.
    pub broker: Broker,
    /// Publishes with confirms.
    pub publisher: Publisher,
    /// URL rules and test sends.
    pub egress: Egress,
    /// API keys.
    pub keys: Keys,
    /// Tenants that are known to exist.
    pub tenants: Tenants,
    /// Event types whose data is checked.
    pub catalogs: Catalogs,
    /// Whether too much is waiting.
    pub backlog: Backlog,
    /// Room for bodies of batches.
    pub batches: Semaphore,
    /// How often an endpoint may be tested.
    pub test_sends: Buckets<(TenantId, EndpointId)>,
    /// Counters.
    pub metrics: Metrics,
    /// Largest `data` of an event, in bytes.
    pub max_event_bytes: usize,
}
