//! The API: one file per operation, and the table of them all.
//!
//! Each file holds one `handler` with its documentation. A handler loads what it needs, decides,
//! and acts; who may call it stands in the table below and is checked before it runs.

pub mod deliveries;
pub mod endpoints;
pub mod event_types;
pub mod events;
pub mod keys;
pub mod me;
pub mod page;
pub mod profiles;
pub mod rejected;
pub mod secrets;
pub mod stats;
pub mod tenants;

use crate::route::{Route, route};

/// Every route.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Publish, ByHandler, events::create),
        route!(Publish, ByHandler, events::batch),
        route!(Manage, Harmless, events::list),
        route!(Endpoints, Harmless, events::get),
        route!(Endpoints, Harmless, events::deliveries),
        route!(Manage, Remembered, events::replay),
        route!(Endpoints, Remembered, endpoints::create),
        route!(Endpoints, Harmless, endpoints::list),
        route!(Endpoints, Harmless, endpoints::get),
        route!(Endpoints, Remembered, endpoints::update),
        route!(Endpoints, Remembered, endpoints::delete),
        route!(Endpoints, Remembered, endpoints::test),
        route!(Endpoints, Remembered, endpoints::recover),
        route!(Endpoints, Harmless, endpoints::preview),
        route!(Endpoints, Harmless, secrets::get),
        route!(Endpoints, Remembered, secrets::rotate),
        route!(Public, Harmless, secrets::jwks),
        route!(Endpoints, Harmless, secrets::get_tenant),
        route!(Manage, Remembered, secrets::rotate_tenant),
        route!(Endpoints, Harmless, deliveries::list),
        route!(Endpoints, Harmless, deliveries::get),
        route!(Endpoints, Remembered, deliveries::retry),
        route!(Endpoints, Harmless, event_types::list),
        route!(Endpoints, Harmless, event_types::get),
        route!(Manage, Remembered, event_types::put),
        route!(Manage, Remembered, event_types::delete),
        route!(Manage, Remembered, event_types::import),
        route!(Anyone, Harmless, profiles::list),
        route!(Anyone, Harmless, profiles::get),
        route!(Operator, Remembered, profiles::put),
        route!(Operator, Remembered, profiles::delete),
        route!(Endpoints, Harmless, stats),
        route!(Anyone, Harmless, me),
        route!(Operator, Remembered, tenants::put),
        route!(Operator, Harmless, tenants::list),
        route!(Manage, Harmless, tenants::get),
        route!(Operator, Remembered, tenants::delete),
        route!(Manage, Remembered, keys::create),
        route!(Manage, Harmless, keys::list),
        route!(Manage, Remembered, keys::delete),
        route!(Manage, Remembered, keys::revoke),
        route!(Operator, Harmless, rejected::list),
        route!(Operator, Harmless, rejected::get),
        route!(Operator, Remembered, rejected::requeue),
        route!(Operator, Remembered, rejected::delete),
    ]
}
