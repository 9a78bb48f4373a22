//! Deliveries that a person asks for once more: retry one, replay an event, recover an endpoint.
//!
//! Called by the API. None of these publishes anything: they make deliveries pending and due, and
//! the reconciler brings what is due to the broker at its own bounded rate.

use chrono::{DateTime, Utc};
use signpost_domain::{DeliveryId, EndpointId, EventId, TenantId, Trigger};
use sqlx::{Connection as _, Row as _};

use crate::{
    NewDelivery, Store, StoreError,
    fanout::DeliveryColumns,
    page::{highest_id_until, lowest_id_since},
};

/// Deliveries recovered in one statement; locks and the write-ahead log stay small.
const RECOVER_STEP: i64 = 1000;

/// What came of asking for a delivery again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// It is pending again.
    Done,
    /// An attempt is under way or about to begin.
    UnderWay,
    /// Its event's data is no longer kept.
    DataGone,
    /// There is no such delivery.
    Missing,
}

impl Store {
    /// Starts a delivery again that has ended, is held or waits for a retry: due at `due_at`, with
    /// all its automatic retries.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn reset_for_retry(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
        trigger: Trigger,
        due_at: DateTime<Utc>,
    ) -> Result<Reset, StoreError> {
        let select = "
            SELECT d.status = 'pending' AND (d.claims > 0 OR d.attempt_count = 0) AS is_under_way,
                e.data IS NOT NULL AS has_data
            FROM deliveries d LEFT JOIN events e ON e.tenant = d.tenant AND e.id = d.event_id
            WHERE d.tenant = $1 AND d.id = $2 FOR UPDATE OF d";
        let update = "
            UPDATE deliveries SET status = 'pending', status_reason = NULL, retries_used = 0,
                claims = 0,
                next_attempt_at = $3, finished_at = NULL, trigger = $4
            WHERE tenant = $1 AND id = $2";
        self.run("start a delivery again", async |db| {
            let mut tx = db.begin().await?;
            let query = sqlx::query(select).bind(tenant.as_str()).bind(id.as_str());
            let Some(row) = query.fetch_optional(&mut *tx).await? else {
                return Ok(Reset::Missing);
            };
            if row.try_get::<bool, _>("is_under_way")? {
                return Ok(Reset::UnderWay);
            }
            if !row.try_get::<bool, _>("has_data")? {
                return Ok(Reset::DataGone);
            }
            sqlx::query(update)
                .bind(tenant.as_str())
                .bind(id.as_str())
                .bind(due_at)
                .bind(trigger.as_str())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(Reset::Done)
        })
        .await
    }

    /// Adds deliveries to an event that is there. Answers how many; `None` if there is no such
    /// event or its data is no longer kept.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn insert_replay(
        &self,
        tenant: &TenantId,
        event_id: &EventId,
        deliveries: &[NewDelivery],
        now: DateTime<Utc>,
    ) -> Result<Option<u64>, StoreError> {
        let exists = "
            SELECT EXISTS (SELECT 1 FROM events WHERE tenant = $1 AND id = $2 AND data IS NOT NULL)";
        let insert = "
            INSERT INTO deliveries (tenant, id, event_id, event_type, endpoint_id, status,
                status_reason, created_at, next_attempt_at, finished_at, profile, profile_version,
                trigger)
            SELECT d.tenant, d.id, d.event_id, e.type, d.endpoint_id, d.status, d.status_reason,
                $1, d.next_attempt_at, CASE d.status WHEN 'discarded' THEN $1 END,
                d.profile, d.profile_version, d.trigger
            FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::timestamptz[], $9::text[], $10::int4[], $11::text[])
                AS d (tenant, event_id, id, endpoint_id, status, status_reason,
                    next_attempt_at, profile, profile_version, trigger)
            JOIN events e ON e.tenant = d.tenant AND e.id = d.event_id AND e.data IS NOT NULL";
        let mut columns = DeliveryColumns::default();
        for delivery in deliveries {
            columns.push(tenant, event_id, delivery);
        }
        self.run("replay an event", async |db| {
            let query = sqlx::query_scalar(exists)
                .bind(tenant.as_str())
                .bind(event_id.as_str());
            if !query.fetch_one(&mut *db).await? {
                return Ok(None);
            }
            let inserted = columns
                .bind(sqlx::query(insert).bind(now))
                .execute(&mut *db)
                .await?;
            Ok(Some(inserted.rows_affected()))
        })
        .await
    }

    /// Starts every failed and every held delivery of an endpoint again that was made from
    /// `since` on and before `until` and whose data is still kept. All become due at `due_at`.
    /// Answers how many.
    ///
    /// # Errors
    /// The database cannot be reached or refuses. What was started until then stays started;
    /// asking again does the rest.
    pub async fn recover_endpoint(
        &self,
        tenant: &TenantId,
        endpoint_id: &EndpointId,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        due_at: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        // The position goes up, so what fails again meanwhile is not started a second time.
        let step = "
            WITH picked AS (
                SELECT d.tenant, d.id, e.data IS NOT NULL AS has_data FROM (
                    (SELECT tenant, id, event_id, created_at FROM deliveries
                    WHERE tenant = $1 AND endpoint_id = $2 AND status = 'failed'
                        AND id > $3 AND id < $4 ORDER BY id LIMIT $7)
                    UNION ALL
                    (SELECT tenant, id, event_id, created_at FROM deliveries
                    WHERE tenant = $1 AND endpoint_id = $2 AND status = 'held'
                        AND id > $3 AND id < $4 ORDER BY id LIMIT $7)
                ) d LEFT JOIN events e ON e.tenant = d.tenant AND e.id = d.event_id
                WHERE d.created_at >= $5 AND d.created_at < $6
                ORDER BY d.id LIMIT $7
            ), started AS (
                UPDATE deliveries d SET status = 'pending', status_reason = NULL, retries_used = 0,
                    next_attempt_at = $8, finished_at = NULL, trigger = 'manual'
                FROM picked WHERE d.tenant = picked.tenant AND d.id = picked.id
                    AND picked.has_data AND d.status IN ('failed', 'held')
                RETURNING 1
            )
            SELECT (SELECT max(id) FROM picked), (SELECT count(*) FROM started)";
        let mut position = lowest_id_since(since);
        let mut total = 0;
        loop {
            let (last, started): (Option<String>, i64) = self
                .run("recover an endpoint", async |db| {
                    sqlx::query_as(step)
                        .bind(tenant.as_str())
                        .bind(endpoint_id.as_str())
                        .bind(&position)
                        .bind(highest_id_until(until))
                        .bind(since)
                        .bind(until)
                        .bind(RECOVER_STEP)
                        .bind(due_at)
                        .fetch_one(&mut *db)
                        .await
                })
                .await?;
            total += started.unsigned_abs();
            match last {
                Some(last) => position = last,
                None => return Ok(total),
            }
        }
    }
}
