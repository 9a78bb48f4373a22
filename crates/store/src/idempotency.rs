//! Answers to writes that carried an `Idempotency-Key`, to be given again to a repeat.
//!
//! The API asks before it acts and stores its answer after. Answers are encrypted: that of a new
//! endpoint holds its secret, that of a new key the key.

use chrono::{DateTime, TimeDelta, Utc};
use signpost_domain::TenantId;
use sqlx::Row as _;

use crate::{Store, StoreError, keyring::Place};

/// A request that has not been answered for this long has died with its process.
const ABANDONED_AFTER: TimeDelta = TimeDelta::seconds(60);

/// Which request is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotentRequest<'a> {
    /// Whose; `None` on routes that belong to no tenant.
    pub tenant: Option<&'a TenantId>,
    /// The method and the path.
    pub route: &'a str,
    /// The header's value.
    pub key: &'a str,
    /// SHA-256 of the body.
    pub hash: &'a [u8; 32],
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// It is new and now noted: act, then call [`Store::finish_request`], or
    /// [`Store::forget_request`] if it came to nothing.
    Act,
    /// It was answered before: answer the same.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// It is being worked on right now: ask the client to come again.
    InProgress,
    /// The key belongs to a request with another body.
    KeyReused,
}

impl Store {
    /// Looks a request up and notes it if it is new.
    ///
    /// # Errors
    /// [`StoreError::Secret`] when the stored answer does not open; otherwise the database cannot
    /// be reached or refuses.
    pub async fn begin_request(
        &self,
        request: IdempotentRequest<'_>,
        now: DateTime<Utc>,
    ) -> Result<Idempotency, StoreError> {
        let insert = "
            INSERT INTO idempotency_keys AS k (tenant, route, key, request_hash, created_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant, route, key) DO UPDATE SET created_at = excluded.created_at
                WHERE k.status IS NULL AND k.created_at < $6 AND k.request_hash = $4
            RETURNING 1";
        let select = "
            SELECT request_hash, status, body FROM idempotency_keys
            WHERE tenant = $1 AND route = $2 AND key = $3";
        let tenant = tenant_text(request.tenant);
        let stored: Option<Stored> = self
            .run("look up an idempotency key", async |db| {
                let noted = sqlx::query(insert)
                    .bind(tenant)
                    .bind(request.route)
                    .bind(request.key)
                    .bind(request.hash.as_slice())
                    .bind(now)
                    .bind(now - ABANDONED_AFTER)
                    .fetch_optional(&mut *db)
                    .await?;
                if noted.is_some() {
                    return Ok(None);
                }
                let query = sqlx::query(select)
                    .bind(tenant)
                    .bind(request.route)
                    .bind(request.key);
                let Some(row) = query.fetch_optional(&mut *db).await? else {
                    // Forgotten between the two statements: the client comes again.
                    return Ok(Some((request.hash.to_vec(), None, None)));
                };
                Ok(Some((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
            })
            .await?;
        let Some((hash, status, body)) = stored else {
            return Ok(Idempotency::Act);
        };
        if hash != request.hash {
            return Ok(Idempotency::KeyReused);
        }
        let (Some(status), Some(body)) = (status, body) else {
            return Ok(Idempotency::InProgress);
        };
        let body = self.keys().open(&body, &place(&request, status))?;
        Ok(Idempotency::Answer {
            status: status.unsigned_abs(),
            body: body.to_vec(),
        })
    }

    /// Stores the answer to a request that [`Store::begin_request`] let through.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn finish_request(
        &self,
        request: IdempotentRequest<'_>,
        status: u16,
        body: &[u8],
    ) -> Result<(), StoreError> {
        let status = i16::try_from(status).unwrap_or(i16::MAX);
        let sealed = self.keys().seal(body, &place(&request, status));
        let sql = "
            UPDATE idempotency_keys SET status = $4, body = $5
            WHERE tenant = $1 AND route = $2 AND key = $3";
        self.run("store an answer under its idempotency key", async |db| {
            sqlx::query(sql)
                .bind(tenant_text(request.tenant))
                .bind(request.route)
                .bind(request.key)
                .bind(status)
                .bind(sealed)
                .execute(&mut *db)
                .await
        })
        .await
        .map(drop)
    }

    /// Forgets a request that changed nothing, so that it can be made again.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn forget_request(&self, request: IdempotentRequest<'_>) -> Result<(), StoreError> {
        let sql = "
            DELETE FROM idempotency_keys
            WHERE tenant = $1 AND route = $2 AND key = $3 AND status IS NULL";
        self.run("forget an idempotency key", async |db| {
            sqlx::query(sql)
                .bind(tenant_text(request.tenant))
                .bind(request.route)
                .bind(request.key)
                .execute(&mut *db)
                .await
        })
        .await
        .map(drop)
    }
}

/// The request's hash; and the status and sealed body of its answer, once there is one.
type Stored = (Vec<u8>, Option<i16>, Option<Vec<u8>>);

fn tenant_text(tenant: Option<&TenantId>) -> &str {
    tenant.map_or("", TenantId::as_str)
}

fn place<'a>(request: &IdempotentRequest<'a>, status: i16) -> Place<'a> {
    Place {
        tenant: tenant_text(request.tenant),
        owner: request.route,
        id: request.key,
        version: status.into(),
    }
}
