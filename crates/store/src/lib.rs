//! PostgreSQL: the ledger of events, deliveries and attempts, and what tenants have configured.
//!
//! The only crate that talks SQL. Plain functions on [`Store`], one file per family of tables:
//!
//! | file | what |
//! |---|---|
//! | `store`, `error`, `row`, `page` | the pool, failures, reading columns, paging |
//! | `fanout`, `settle`, `postpone` | the hot paths: events in, attempts recorded, deliveries put off |
//! | `due`, `reconcile` | deliveries to be published again |
//! | `suspects` | events that may have killed a worker |
//! | `directory`, `listener` | what dispatchers keep in memory, and how they hear of changes |
//! | `tenants`, `keys`, `endpoints`, `endpoint_health`, `secrets`, `profiles`, `event_types` | configuration |
//! | `events`, `deliveries`, `attempts`, `stats` | reading the record |
//! | `again`, `retention`, `idempotency` | once more, forgetting, repeated requests |
//! | `keyring` | encryption at rest |
//!
//! **Invariants.** Every function that reads or changes a tenant's things takes the tenant and has
//! it in its `WHERE`. No function waits longer than its deadline. No function reads the clock:
//! times come in as parameters. A delivery's row is there before anything of it is published, and
//! its last word is there before anything follows from it.
//!
//! # Adding a migration
//!
//! Add `migrations/NNNN_what.sql`; never change one that is released. Old processes run beside
//! new ones during an update: add columns with a default or nullable, build big indexes
//! concurrently in a file that begins with `-- no-transaction`, and remove a column only in the
//! release after the one that stopped using it. `cargo test -p signpost-store` runs all of them.

mod again;
mod attempts;
mod deliveries;
mod directory;
mod due;
mod endpoint_health;
mod endpoints;
mod error;
mod event_types;
mod events;
mod fanout;
mod idempotency;
mod keyring;
mod keys;
mod listener;
mod page;
mod postpone;
mod probe;
mod profiles;
mod reconcile;
mod retention;
mod row;
mod secrets;
mod settle;
mod stats;
mod store;
mod suspects;
mod tenants;

pub use again::Reset;
pub use attempts::Attempt;
pub use deliveries::{Delivery, DeliveryFilter};
pub use directory::{DirectoryEndpoint, ProfileDirectory, Secrets, TenantDirectory};
pub use due::{AttemptClaim, Claim, DeliveryState, DueDelivery, MAX_CLAIMS};
pub use endpoint_health::FailingEndpoint;
pub use endpoints::{Endpoint, EndpointSettings, EndpointUpdate};
pub use error::StoreError;
pub use event_types::{EventType, EventTypeSettings, Validation};
pub use events::{EventFilter, EventHeadline, StoredEvent};
pub use fanout::{FanoutEvent, FanoutResult, InitialState, NewDelivery};
pub use idempotency::{Idempotency, IdempotentRequest};
pub use keyring::{KeyRing, KeyRingError, SecretError};
pub use keys::{ApiKey, KeyRole};
pub use listener::{Change, Listener};
pub use page::{Page, PageRequest};
pub use postpone::DeliveryRef;
pub use profiles::{ProfileDeletion, StoredProfile};
pub use reconcile::ReconcilerLock;
pub use retention::{RetentionPosition, RetentionStep};
pub use secrets::{LiveSecret, SecretScope};
pub use settle::{NewAttempt, NextState, Settled, Settlement};
pub use stats::Stats;
pub use store::{ServerInfo, Store, StoreConfig};
pub use suspects::Fingerprint;
pub use tenants::{EraseStep, Tenant};
