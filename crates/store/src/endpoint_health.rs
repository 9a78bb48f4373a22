//! What Signpost itself decides about endpoints: those that are gone are disabled, those that
//! have failed for days are paused.
//!
//! Called by the dispatcher. A change is answered to exactly one caller, so that exactly one
//! operator event tells of it.

use chrono::{DateTime, Utc};
use signpost_domain::{EndpointId, EndpointStatus, TenantId};
use sqlx::postgres::PgRow;

use crate::{Store, StoreError, row::parsed};

/// An endpoint that Signpost has just paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PausedEndpoint {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which one.
    pub id: EndpointId,
    /// Since when every attempt had failed.
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

    /// Notes that an attempt of these endpoints has succeeded.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn note_working(
        &self,
        endpoints: &[(TenantId, EndpointId)],
    ) -> Result<(), StoreError> {
        let (tenants, ids): (Vec<_>, Vec<_>) = endpoints
            .iter()
            .map(|(tenant, id)| (tenant.as_str(), id.as_str()))
            .unzip();
        let sql = "
            UPDATE endpoints e SET failing_since = NULL
            FROM unnest($1::text[], $2::text[]) AS item (tenant, id)
            WHERE e.tenant = item.tenant AND e.id = item.id AND e.failing_since IS NOT NULL";
        self.run("note working endpoints", async |db| {
            sqlx::query(sql)
                .bind(tenants)
                .bind(ids)
                .execute(&mut *db)
                .await
        })
        .await
        .map(drop)
    }

    /// Pauses every active endpoint whose attempts have all failed since `before` or longer.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn pause_failing_endpoints(
        &self,
        before: DateTime<Utc>,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<PausedEndpoint>, StoreError> {
        let sql = "
            UPDATE endpoints SET status = 'paused', status_reason = $2,
                updated_at = greatest($3, updated_at + interval '1 microsecond')
            WHERE failing_since <= $1 AND status = 'active' AND deleted_at IS NULL
            RETURNING tenant, id, failing_since";
        self.run("pause failing endpoints", async |db| {
            sqlx::query(sql)
                .bind(before)
                .bind(reason)
                .bind(now)
                .try_map(|row: PgRow| {
                    Ok(PausedEndpoint {
                        tenant: parsed(&row, "tenant")?,
                        id: parsed(&row, "id")?,
                        failing_since: sqlx::Row::try_get(&row, "failing_since")?,
                    })
                })
                .fetch_all(&mut *db)
                .await
        })
        .await
    }
}
