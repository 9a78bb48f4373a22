//! Deliveries that are not attempted now: deferred, held, or given up without an attempt.
//!
//! Called by the dispatcher's gate, many at once. Each changes only deliveries that are still
//! open; one that another process has ended stays as it is.

use chrono::{DateTime, Utc};
use signpost_domain::{DeliveryId, TenantId};

use crate::{Store, StoreError, row::is_pending};

/// One delivery of one tenant.
pub type DeliveryRef = (TenantId, DeliveryId);

impl Store {
    /// Notes when each delivery is due instead. Uses up no attempt; a claim is given back.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn defer(
        &self,
        batch: &[(TenantId, DeliveryId, DateTime<Utc>)],
    ) -> Result<(), StoreError> {
        let tenants: Vec<_> = batch.iter().map(|(tenant, _, _)| tenant.as_str()).collect();
        let ids: Vec<_> = batch.iter().map(|(_, id, _)| id.as_str()).collect();
        let times: Vec<_> = batch.iter().map(|(_, _, at)| *at).collect();
        let sql = concat!(
            "UPDATE deliveries d SET next_attempt_at = item.next_attempt_at, claims = 0
            FROM unnest($1::text[], $2::text[], $3::timestamptz[])
                AS item (tenant, id, next_attempt_at)
            WHERE d.tenant = item.tenant AND d.id = item.id AND ",
            is_pending!()
        );
        self.run("defer deliveries", async |db| {
            sqlx::query(sql)
                .bind(tenants)
                .bind(ids)
                .bind(times)
                .execute(&mut *db)
                .await
        })
        .await
        .map(drop)
    }

    /// Keeps pending deliveries until their endpoint is active again. Answers how many changed.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn hold(&self, batch: &[DeliveryRef], reason: &str) -> Result<u64, StoreError> {
        let (tenants, ids) = texts(batch);
        let sql = concat!(
            "UPDATE deliveries d SET status = 'held', status_reason = $3, next_attempt_at = NULL,
                claims = 0
            FROM unnest($1::text[], $2::text[]) AS item (tenant, id)
            WHERE d.tenant = item.tenant AND d.id = item.id AND ",
            is_pending!()
        );
        self.run("hold deliveries", async |db| {
            sqlx::query(sql)
                .bind(tenants)
                .bind(ids)
                .bind(reason)
                .execute(&mut *db)
                .await
        })
        .await
        .map(|done| done.rows_affected())
    }

    /// Ends a delivery whose attempt cannot be made. `false` if it is not open any more.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn fail(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let sql = concat!(
            "UPDATE deliveries d SET status = 'failed', status_reason = $3, next_attempt_at = NULL,
                finished_at = $4, claims = 0
            WHERE d.tenant = $1 AND d.id = $2 AND ",
            is_pending!()
        );
        self.run("end a delivery", async |db| {
            let query = sqlx::query(sql)
                .bind(tenant.as_str())
                .bind(id.as_str())
                .bind(reason)
                .bind(now);
            query.execute(&mut *db).await
        })
        .await
        .map(|done| done.rows_affected() > 0)
    }

    /// Gives open deliveries up: nothing more is sent. Answers how many changed.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn discard(
        &self,
        batch: &[DeliveryRef],
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let (tenants, ids) = texts(batch);
        let sql = "
            UPDATE deliveries d SET status = 'discarded', status_reason = $3,
                next_attempt_at = NULL, finished_at = $4
            FROM unnest($1::text[], $2::text[]) AS item (tenant, id)
            WHERE d.tenant = item.tenant AND d.id = item.id AND d.status IN ('pending', 'held')";
        self.run("discard deliveries", async |db| {
            let query = sqlx::query(sql)
                .bind(tenants)
                .bind(ids)
                .bind(reason)
                .bind(now);
            query.execute(&mut *db).await
        })
        .await
        .map(|done| done.rows_affected())
    }
}

fn texts(batch: &[DeliveryRef]) -> (Vec<&str>, Vec<&str>) {
    batch
        .iter()
        .map(|(tenant, id)| (tenant.as_str(), id.as_str()))
        .unzip()
}
