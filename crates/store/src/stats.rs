//! Counts over a tenant's deliveries of a time, for the dashboard and the API.

use chrono::{DateTime, Utc};
use signpost_domain::{DeliveryStatus, EndpointId, EventType, TenantId};
use sqlx::{Row as _, postgres::PgRow};

use crate::{
    Store, StoreError,
    page::{highest_id_until, lowest_id_since},
    row::{parsed, parsed_optional, word},
};

/// Most endpoints and most event types that are counted apart: those with the most deliveries.
const MOST_GROUPS: i64 = 1000;

/// Deliveries made within a time, counted by how they stand now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events stored within the time.
    pub events: u64,
    /// All deliveries, by status.
    pub by_status: Vec<(DeliveryStatus, u64)>,
    /// By endpoint and status; at most 1,000 entries, the largest first.
    pub by_endpoint: Vec<(EndpointId, DeliveryStatus, u64)>,
    /// By event type and status; at most 1,000 entries, the largest first.
    pub by_event_type: Vec<(EventType, DeliveryStatus, u64)>,
}

impl Store {
    /// Counts what was made from `since` on and before `until`. Reads every delivery of that
    /// time: about a second for a million.
    ///
    /// # Errors
    /// The database cannot be reached, or the time holds too much to be counted in time.
    pub async fn stats(
        &self,
        tenant: &TenantId,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Stats, StoreError> {
        let events = "
            SELECT count(*) FROM events WHERE tenant = $1 AND created_at >= $2 AND created_at < $3";
        let deliveries = "
            WITH counted AS (
                SELECT endpoint_id, event_type, status, count(*) AS n FROM deliveries
                WHERE tenant = $1 AND id >= $2 AND id < $3 AND created_at >= $4 AND created_at < $5
                GROUP BY endpoint_id, event_type, status
            ), grouped AS (
                SELECT endpoint_id, event_type, status, sum(n)::int8 AS n,
                    row_number() OVER (
                        PARTITION BY GROUPING (endpoint_id, event_type) ORDER BY sum(n) DESC
                    ) AS rank
                FROM counted
                GROUP BY GROUPING SETS ((status), (endpoint_id, status), (event_type, status))
            )
            SELECT endpoint_id, event_type, status, n FROM grouped WHERE rank <= $6
            ORDER BY rank";
        self.search("count deliveries", async |db| {
            let query = sqlx::query_scalar(events)
                .bind(tenant.as_str())
                .bind(since)
                .bind(until);
            let count: i64 = query.fetch_one(&mut *db).await?;
            let mut stats = Stats {
                events: count.unsigned_abs(),
                ..Stats::default()
            };
            let rows = sqlx::query(deliveries)
                .bind(tenant.as_str())
                .bind(lowest_id_since(since))
                .bind(highest_id_until(until))
                .bind(since)
                .bind(until)
                .bind(MOST_GROUPS)
                .fetch_all(&mut *db)
                .await?;
            for row in &rows {
                add(&mut stats, row)?;
            }
            Ok(stats)
        })
        .await
    }
}

fn add(counts: &mut Stats, row: &PgRow) -> Result<(), sqlx::Error> {
    let status = word(row, "status", DeliveryStatus::parse)?;
    let count: i64 = row.try_get("n")?;
    let count = count.unsigned_abs();
    if let Some(endpoint) = parsed_optional(row, "endpoint_id")? {
        counts.by_endpoint.push((endpoint, status, count));
    } else if row.try_get::<Option<&str>, _>("event_type")?.is_some() {
        counts
            .by_event_type
            .push((parsed(row, "event_type")?, status, count));
    } else {
        counts.by_status.push((status, count));
    }
    Ok(())
}
