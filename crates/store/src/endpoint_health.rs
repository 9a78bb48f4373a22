//! What Signpost itself decides about endpoints: those that are gone are disabled, those that
//! have failed for days are paused.
//!
//! Called by the dispatcher. A change is answered to exactly one caller, so that exactly one
//! operator event tells of it.

use chrono::{DateTime, TimeDelta, Utc};
use signpost_domain::{EndpointId, EndpointStatus, TenantId};
use sqlx::postgres::PgRow;

use crate::{Store, StoreError, row::parsed};

/// An endpoint whose attempts fail, or did until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingEndpoint {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which one.
    pub id: EndpointId,
    /// Since when every attempt has failed.
    pub failing_since: DateTime<Utc>,
}

impl Store {
    /// Gives an endpoint another status and the reason for it. `false` if it is not there or has
    /// that status already.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn set_endpoint_status(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        status: EndpointStatus,
        reason: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let sql = "
            UPDATE endpoints SET status = $3, status_reason = $4,
                updated_at = greatest($5, updated_at + interval '1 microsecond'),
                failing_since = CASE WHEN $3 = 'active' THEN NULL ELSE failing_since END
            WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL AND status <> $3";
        self.run("change an endpoint's status", async |db| {
            sqlx::query(sql)
                .bind(tenant.as_str())
                .bind(id.as_str())
                .bind(status.as_str())
                .bind(reason)
                .bind(now)
                .execute(&mut *db)
                .await
        })
        .await
        .map(|done| done.rows_affected() > 0)
    }

    /// Notes that these endpoints' attempts fail, each since its first failure; an earlier note
    /// stands.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn note_failing(
        &self,
        endpoints: &[(TenantId, EndpointId, DateTime<Utc>)],
    ) -> Result<(), StoreError> {
        let tenants: Vec<_> = endpoints
            .iter()
            .map(|(tenant, _, _)| tenant.as_str())
            .collect();
        let ids: Vec<_> = endpoints.iter().map(|(_, id, _)| id.as_str()).collect();
        let times: Vec<_> = endpoints.iter().map(|(_, _, since)| *since).collect();
        let sql = "
            UPDATE endpoints e SET failing_since = item.since
            FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS item (tenant, id, since)
            WHERE e.tenant = item.tenant AND e.id = item.id
                AND e.failing_since IS NULL AND e.deleted_at IS NULL";
        self.run("note failing endpoints", async |db| {
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

    /// Notes that an attempt of these endpoints has succeeded. Gives those that were failing
    /// until now.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn note_working(
        &self,
        endpoints: &[(TenantId, EndpointId)],
    ) -> Result<Vec<FailingEndpoint>, StoreError> {
        let (tenants, ids): (Vec<_>, Vec<_>) = endpoints
            .iter()
            .map(|(tenant, id)| (tenant.as_str(), id.as_str()))
            .unzip();
        let sql = "
            WITH was AS (
                SELECT e.tenant, e.id, e.failing_since FROM endpoints e
                JOIN unnest($1::text[], $2::text[]) AS item (tenant, id)
                    ON e.tenant = item.tenant AND e.id = item.id
                WHERE e.failing_since IS NOT NULL ORDER BY e.tenant, e.id FOR UPDATE OF e
            ), cleared AS (
                UPDATE endpoints e SET failing_since = NULL FROM was
                WHERE e.tenant = was.tenant AND e.id = was.id
            )
            SELECT tenant, id, failing_since FROM was";
        self.run("note working endpoints", async |db| {
            sqlx::query(sql)
                .bind(tenants)
                .bind(ids)
                .try_map(|row| failing_endpoint(&row))
                .fetch_all(&mut *db)
                .await
        })
        .await
    }

    /// Active endpoints whose attempts fail, the longest-failing first.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn failing_endpoints(
        &self,
        limit: usize,
    ) -> Result<Vec<FailingEndpoint>, StoreError> {
        let sql = "
            SELECT tenant, id, failing_since FROM endpoints
            WHERE failing_since IS NOT NULL AND status = 'active' AND deleted_at IS NULL
            ORDER BY failing_since LIMIT $1";
        self.run("list failing endpoints", async |db| {
            sqlx::query(sql)
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .try_map(|row| failing_endpoint(&row))
                .fetch_all(&mut *db)
                .await
        })
        .await
    }

    /// Pauses every active endpoint whose attempts have all failed since `before` or longer, if
    /// the latest of them was made `tried_for` after the first or later.
    ///
    /// The last thousand deliveries are looked at: a success among them, which a dispatcher may
    /// have failed to note, keeps the endpoint active.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn pause_failing_endpoints(
        &self,
        before: DateTime<Utc>,
        tried_for: TimeDelta,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<FailingEndpoint>, StoreError> {
        let sql = "
            UPDATE endpoints e SET status = 'paused', status_reason = $2,
                updated_at = greatest($3, updated_at + interval '1 microsecond')
            WHERE failing_since <= $1 AND status = 'active' AND deleted_at IS NULL
                AND (SELECT bool_or(d.attempt_count > 0
                            AND COALESCE(d.finished_at, d.next_attempt_at) >= e.failing_since + $4)
                        AND NOT bool_or(d.status = 'succeeded' AND d.finished_at >= e.failing_since)
                    FROM (SELECT status, attempt_count, finished_at, next_attempt_at
                        FROM deliveries
                        WHERE tenant = e.tenant AND endpoint_id = e.id
                        ORDER BY id DESC LIMIT 1000) d)
            RETURNING tenant, id, failing_since";
        self.run("pause failing endpoints", async |db| {
            sqlx::query(sql)
                .bind(before)
                .bind(reason)
                .bind(now)
                .bind(tried_for)
                .try_map(|row| failing_endpoint(&row))
                .fetch_all(&mut *db)
                .await
        })
        .await
    }
}

fn failing_endpoint(row: &PgRow) -> Result<FailingEndpoint, sqlx::Error> {
    Ok(FailingEndpoint {
        tenant: parsed(row, "tenant")?,
        id: parsed(row, "id")?,
        failing_since: sqlx::Row::try_get(row, "failing_since")?,
    })
}
