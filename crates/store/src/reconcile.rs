//! What the reconciler asks the ledger: which deliveries has everybody forgotten, which held ones
//! may go, which can never go.
//!
//! Called by the one dispatcher that holds the lock. A claim moves `next_attempt_at` ahead (a
//! lease), so that a crash after it only delays the delivery until the lease is over.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection as _, PgConnection};

use crate::{
    DueDelivery, Store, StoreError,
    due::{due_columns, due_delivery},
};

/// "signpost" in ASCII; advisory locks are per database.
const RECONCILER_LOCK: i64 = 0x7369_676e_706f_7374;

/// Longest wait for a sign of life of the lock's connection.
const LOCK_CHECK: Duration = Duration::from_secs(2);

/// A deleted endpoint is looked at once, this long after its deletion: by then no dispatcher that
/// had not heard of it adds deliveries. What is due before is discarded by the gate.
const SWEEP_AFTER: TimeDelta = TimeDelta::minutes(1);

/// The right to reconcile; at most one in the whole system. Lost with its connection, given back
/// when dropped.
#[derive(Debug)]
pub struct ReconcilerLock(PgConnection);

impl ReconcilerLock {
    /// Whether the lock is still ours. Ask before each round.
    pub async fn is_held(&mut self) -> bool {
        matches!(
            tokio::time::timeout(LOCK_CHECK, self.0.ping()).await,
            Ok(Ok(()))
        )
    }

    /// Gives the lock back and waits until that is done.
    pub async fn release(self) {
        // An error means that the connection, and with it the lock, is gone already.
        drop(tokio::time::timeout(LOCK_CHECK, self.0.close()).await);
    }
}

impl Store {
    /// Takes the reconciler's lock; `None` while another process has it.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn try_reconciler_lock(&self) -> Result<Option<ReconcilerLock>, StoreError> {
        let take = async {
            let mut connection = self.connect_alone().await?;
            let is_taken = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(RECONCILER_LOCK)
                .fetch_one(&mut connection)
                .await?;
            if is_taken {
                return Ok(Some(ReconcilerLock(connection)));
            }
            connection.close().await?;
            Ok(None)
        };
        self.within_deadline("take the reconciler's lock", take)
            .await
    }

    /// Claims up to `limit` deliveries that have been due for `overdue_by` or longer, the oldest
    /// first, and puts their due time off by `lease`.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn claim_overdue(
        &self,
        now: DateTime<Utc>,
        overdue_by: TimeDelta,
        limit: u32,
        lease: TimeDelta,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let sql = concat!(
            "
            WITH due AS (
                SELECT tenant, id, event_id, next_attempt_at FROM deliveries
                WHERE status = 'pending' AND next_attempt_at <= $1
                ORDER BY next_attempt_at LIMIT $2
                FOR UPDATE SKIP LOCKED
            ), claimed AS (
                UPDATE deliveries d SET next_attempt_at = $3
                FROM due LEFT JOIN events e ON e.tenant = due.tenant AND e.id = due.event_id
                WHERE d.tenant = due.tenant AND d.id = due.id
                RETURNING due.next_attempt_at AS was_due_at, ",
            due_columns!(),
            "
            )
            SELECT * FROM claimed ORDER BY was_due_at, id"
        );
        self.run("claim overdue deliveries", async |db| {
            sqlx::query(sql)
                .bind(now - overdue_by)
                .bind(i64::from(limit))
                .bind(now + lease)
                .try_map(|row| due_delivery(&row))
                .fetch_all(&mut *db)
                .await
        })
        .await
    }

    /// Claims up to `limit` held deliveries of endpoints that are active again: they become
    /// pending, due in `lease`. Each endpoint gets the same share, its oldest first; when there
    /// are more endpoints than `limit`, others get theirs in the next call.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn claim_held_of_active_endpoints(
        &self,
        now: DateTime<Utc>,
        limit: u32,
        lease: TimeDelta,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let sql = concat!(
            "
            WITH held AS (
                SELECT tenant, id, event_id FROM deliveries
                WHERE tenant = $1 AND endpoint_id = $2 AND status = 'held'
                ORDER BY id LIMIT $3
                FOR UPDATE SKIP LOCKED
            ), claimed AS (
                UPDATE deliveries d
                SET status = 'pending', status_reason = NULL, next_attempt_at = $4
                FROM held LEFT JOIN events e ON e.tenant = held.tenant AND e.id = held.event_id
                WHERE d.tenant = held.tenant AND d.id = held.id
                RETURNING ",
            due_columns!(),
            "
            )
            SELECT * FROM claimed ORDER BY id"
        );
        self.run("claim held deliveries", async |db| {
            let mut endpoints = active_endpoints_with_held(db).await?;
            if endpoints.is_empty() {
                return Ok(Vec::new());
            }
            let first = rand::random_range(0..endpoints.len());
            endpoints.rotate_left(first);
            let limit = limit as usize;
            let share = limit.div_ceil(endpoints.len());
            let mut claimed = Vec::with_capacity(limit);
            for (tenant, endpoint_id) in endpoints {
                let rows = sqlx::query(sql)
                    .bind(tenant)
                    .bind(endpoint_id)
                    .bind(i64::try_from(share.min(limit - claimed.len())).unwrap_or(i64::MAX))
                    .bind(now + lease)
                    .try_map(|row| due_delivery(&row));
                claimed.append(&mut rows.fetch_all(&mut *db).await?);
                if claimed.len() >= limit {
                    break;
                }
            }
            Ok(claimed)
        })
        .await
    }

    /// Discards what deleted endpoints were still owed, up to `limit` deliveries of each, and
    /// answers how many. An endpoint with nothing left is not looked at again.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn discard_of_deleted(
        &self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let deleted = "
            SELECT tenant, id FROM endpoints
            WHERE deleted_at < $1 AND swept_at IS NULL ORDER BY tenant, id LIMIT 100";
        let discard = "
            UPDATE deliveries d SET status = 'discarded', status_reason = 'the endpoint was deleted',
                next_attempt_at = NULL, finished_at = $3
            FROM (
                SELECT tenant, id FROM deliveries
                WHERE tenant = $1 AND endpoint_id = $2 AND status IN ('pending', 'held')
                ORDER BY id DESC LIMIT $4
                FOR UPDATE SKIP LOCKED
            ) open
            WHERE d.tenant = open.tenant AND d.id = open.id";
        let swept = "UPDATE endpoints SET swept_at = $3 WHERE tenant = $1 AND id = $2";
        self.run("discard deliveries of deleted endpoints", async |db| {
            let mut discarded = 0;
            let endpoints: Vec<(String, String)> = sqlx::query_as(deleted)
                .bind(now - SWEEP_AFTER)
                .fetch_all(&mut *db)
                .await?;
            for (tenant, endpoint) in endpoints {
                let query = sqlx::query(discard).bind(&tenant).bind(&endpoint).bind(now);
                let done = query
                    .bind(i64::from(limit))
                    .execute(&mut *db)
                    .await?
                    .rows_affected();
                discarded += done;
                if done == 0 {
                    let query = sqlx::query(swept).bind(&tenant).bind(&endpoint).bind(now);
                    query.execute(&mut *db).await?;
                }
            }
            Ok(discarded)
        })
        .await
    }
}

/// The active endpoints that have held deliveries, tenant and id, found by jumping from one to the next in the index of
/// held ones: the cost is the number of endpoints, however many deliveries each has.
async fn active_endpoints_with_held(
    db: &mut PgConnection,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let sql = "
        WITH RECURSIVE held (tenant, endpoint_id) AS (
            (SELECT tenant, endpoint_id FROM deliveries WHERE status = 'held'
             ORDER BY tenant, endpoint_id LIMIT 1)
            UNION ALL
            SELECT next.tenant, next.endpoint_id
            FROM held CROSS JOIN LATERAL (
                SELECT tenant, endpoint_id FROM deliveries
                WHERE status = 'held'
                    AND (tenant, endpoint_id) > (held.tenant, held.endpoint_id)
                ORDER BY tenant, endpoint_id LIMIT 1
            ) next
        )
        SELECT held.tenant, held.endpoint_id
        FROM held JOIN endpoints e ON e.tenant = held.tenant AND e.id = held.endpoint_id
        WHERE e.deleted_at IS NULL AND e.status = 'active'";
    sqlx::query_as(sql).fetch_all(db).await
}
