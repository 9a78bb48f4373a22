//! Keeps what is in memory fresh, and no more than is needed: PostgreSQL tells of changes.

use std::{sync::Arc, time::Duration};

use signpost_store::Change;

use crate::context::Context;

/// The wait before a tenant that could not be read is read again.
const PAUSE: Duration = Duration::from_millis(200);

/// The time between two looks for tenants that nothing asks for.
const ROUND: Duration = Duration::from_secs(300);

/// Reloads tenants that have changed and forgets those without traffic, until the process stops.
pub(crate) async fn watch(context: Arc<Context>) {
    let token = context.lifecycle.token();
    let mut changes = context.store.listen();
    let mut rounds = tokio::time::interval(ROUND);
    loop {
        let change = tokio::select! {
            // Cancel-safe: nothing that was heard gets lost.
            change = changes.next() => change,
            _ = rounds.tick() => {
                context.directory.forget_unused();
                continue;
            }
            () = token.cancelled() => return,
        };
        match change {
            Change::Tenant(tenant) => {
                if context.directory.is_loaded(&tenant) {
                    reload(&context, &[tenant]).await;
                }
            }
            // Endpoints name profiles, and any tenant's may have changed unheard.
            Change::Profiles | Change::Reconnected => {
                context.directory.forget_newest_profiles();
                reload(&context, &context.directory.loaded()).await;
            }
            Change::Key(_) | Change::Lost => {}
        }
    }
}

async fn reload(context: &Context, tenants: &[signpost_domain::TenantId]) {
    for tenant in tenants {
        while let Err(error) = context.directory.load(tenant).await {
            tracing::warn!(error = %signpost_runtime::error_chain(&error), "reading a tenant failed for now");
            if context.lifecycle.is_stopping() || !error.is_transient() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
