//! Forgetting: bodies after some days, rows after more. In steps that are small enough to disturb
//! nobody.
//!
//! Called by one process now and then, tenant by tenant, until a step says that it is done. What
//! is still owed to somebody (pending or held) is never removed, nor is its event's data.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use signpost_domain::TenantId;

use crate::{Store, StoreError, page::highest_id_until};

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionStep {
    /// Rows emptied or removed.
    pub rows: u64,
    /// Whether there is nothing left to do for now.
    pub is_done: bool,
}

/// How far the removal of rows has come, so that rows which must stay are not looked at again in
/// every step. Begin with the default and keep it from step to step.
#[derive(Debug, Clone, Default)]
pub struct RetentionPosition {
    delivery: String,
    event: Option<(DateTime<Utc>, String)>,
}

impl Store {
    /// Every tenant's id.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn all_tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.run("list all tenants", async |db| {
            let ids = sqlx::query("SELECT id FROM tenants ORDER BY id");
            ids.try_map(|row| crate::row::parsed(&row, "id"))
                .fetch_all(&mut *db)
                .await
        })
        .await
    }

    /// Empties the data of about `limit` events stored before `before`, and the bodies that
    /// receivers answered to them.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn clear_bodies_step(
        &self,
        tenant: &TenantId,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<RetentionStep, StoreError> {
        let mark = "SELECT bodies_cleared_until FROM tenants WHERE id = $1";
        // Events of one batch share their time, and a step must not end between them.
        let old = "
            SELECT id, created_at FROM events
            WHERE tenant = $1 AND created_at >= COALESCE($2, '-infinity') AND created_at < $3
            ORDER BY created_at FETCH FIRST $4 ROWS WITH TIES";
        let unfinished = "
            SELECT DISTINCT event_id FROM deliveries
            WHERE tenant = $1 AND event_id = ANY ($2) AND status IN ('pending', 'held')";
        let clear_data = "
            UPDATE events SET data = NULL
            WHERE tenant = $1 AND id = ANY ($2) AND data IS NOT NULL";
        let clear_answers = "
            UPDATE attempts a SET response_body = NULL
            FROM deliveries d
            WHERE d.tenant = $1 AND d.event_id = ANY ($2)
                AND a.tenant = $1 AND a.delivery_id = d.id AND a.response_body IS NOT NULL";
        let set_mark = "UPDATE tenants SET bodies_cleared_until = $2 WHERE id = $1";
        let (id, limit) = (tenant.as_str(), i64::from(limit.max(1)));
        self.run("clear old bodies", async |db| {
            let mark: Option<Option<DateTime<Utc>>> = sqlx::query_scalar(mark)
                .bind(id)
                .fetch_optional(&mut *db)
                .await?;
            let old: Vec<(String, DateTime<Utc>)> = sqlx::query_as(old)
                .bind(id)
                .bind(mark.flatten())
                .bind(before)
                .bind(limit)
                .fetch_all(&mut *db)
                .await?;
            let Some((_, last)) = old.last() else {
                return Ok(RetentionStep {
                    rows: 0,
                    is_done: true,
                });
            };
            let done_until = *last + TimeDelta::microseconds(1);
            let is_done = old.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            let mut events: Vec<String> = old.into_iter().map(|(event, _)| event).collect();
            let query = sqlx::query_scalar(unfinished).bind(id).bind(&events);
            let owed: HashSet<String> = query.fetch_all(&mut *db).await?.into_iter().collect();
            events.retain(|event| !owed.contains(event));
            let mut rows = 0;
            for sql in [clear_data, clear_answers] {
                let done = sqlx::query(sql)
                    .bind(id)
                    .bind(&events)
                    .execute(&mut *db)
                    .await?;
                rows += done.rows_affected();
            }
            sqlx::query(set_mark)
                .bind(id)
                .bind(done_until)
                .execute(&mut *db)
                .await?;
            Ok(RetentionStep { rows, is_done })
        })
        .await
    }

    /// Removes up to `limit` deliveries that were made and ended before `before`, with their
    /// attempts; when there are none left, up to `limit` events stored before `before` that have
    /// no delivery left, and the rows of endpoints deleted before then.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn delete_rows_step(
        &self,
        tenant: &TenantId,
        before: DateTime<Utc>,
        limit: u32,
        position: &mut RetentionPosition,
    ) -> Result<RetentionStep, StoreError> {
        let deliveries = "
            WITH old AS (
                SELECT tenant, id FROM deliveries
                WHERE tenant = $1 AND id > $2 AND id < $3 AND finished_at < $4 AND created_at < $4
                ORDER BY id LIMIT $5
            ), gone AS (
                DELETE FROM deliveries d USING old WHERE d.tenant = old.tenant AND d.id = old.id
            ), gone_attempts AS (
                DELETE FROM attempts a USING old
                WHERE a.tenant = old.tenant AND a.delivery_id = old.id
            )
            SELECT count(*), max(id) FROM old";
        let events = "
            WITH old AS (
                SELECT e.tenant, e.id, e.created_at FROM events e
                WHERE e.tenant = $1 AND e.created_at < $2
                    AND ($3::timestamptz IS NULL OR (e.created_at, e.id) > ($3, $4))
                    AND NOT EXISTS (SELECT 1 FROM deliveries d
                        WHERE d.tenant = e.tenant AND d.event_id = e.id)
                ORDER BY e.created_at, e.id LIMIT $5
            ), gone AS (
                DELETE FROM events e USING old WHERE e.tenant = old.tenant AND e.id = old.id
            )
            SELECT created_at, id, count(*) OVER () FROM old
            ORDER BY created_at DESC, id DESC LIMIT 1";
        let endpoints = "DELETE FROM endpoints WHERE tenant = $1 AND deleted_at < $2";
        let limit = i64::from(limit.max(1));
        self.run("delete old rows", async |db| {
            let (count, last): (i64, Option<String>) = sqlx::query_as(deliveries)
                .bind(tenant.as_str())
                .bind(&position.delivery)
                .bind(highest_id_until(before))
                .bind(before)
                .bind(limit)
                .fetch_one(&mut *db)
                .await?;
            if let Some(last) = last {
                position.delivery = last;
                return Ok(RetentionStep {
                    rows: count.unsigned_abs(),
                    is_done: false,
                });
            }
            let (at, id) = position.event.clone().unzip();
            let last: Option<(DateTime<Utc>, String, i64)> = sqlx::query_as(events)
                .bind(tenant.as_str())
                .bind(before)
                .bind(at)
                .bind(id)
                .bind(limit)
                .fetch_optional(&mut *db)
                .await?;
            if let Some((at, id, count)) = last {
                position.event = Some((at, id));
                return Ok(RetentionStep {
                    rows: count.unsigned_abs(),
                    is_done: false,
                });
            }
            let query = sqlx::query(endpoints).bind(tenant.as_str()).bind(before);
            let rows = query.execute(&mut *db).await?.rows_affected();
            Ok(RetentionStep {
                rows,
                is_done: true,
            })
        })
        .await
    }

    /// Removes up to `limit` answers kept for repeated requests from before `before`.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn delete_idempotency_keys_step(
        &self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<RetentionStep, StoreError> {
        let sql = "
            DELETE FROM idempotency_keys WHERE (tenant, route, key) IN (
                SELECT tenant, route, key FROM idempotency_keys WHERE created_at < $1
                ORDER BY created_at LIMIT $2)";
        self.run("delete old idempotency keys", async |db| {
            let query = sqlx::query(sql).bind(before).bind(i64::from(limit.max(1)));
            let rows = query.execute(&mut *db).await?.rows_affected();
            Ok(RetentionStep {
                rows,
                is_done: rows < u64::from(limit.max(1)),
            })
        })
        .await
    }
}
