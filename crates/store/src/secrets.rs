//! Signing secrets: encrypted here, stored, rotated with an overlap in which the old one still
//! signs.
//!
//! PostgreSQL never sees a secret or a master key. Secrets leave this crate only as
//! [`SecretString`], which no `Debug` shows.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use signpost_domain::{EndpointId, TenantId, id::type_id};
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};

use crate::{
    KeyRing, Store, StoreError,
    keyring::{Place, SecretError},
};

/// Whose secret it is within a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretScope<'a> {
    /// The tenant's own: profiles of scope `tenant` sign with it.
    Tenant,
    /// An endpoint's.
    Endpoint(&'a EndpointId),
}

impl SecretScope<'_> {
    pub(crate) fn endpoint_id(&self) -> &str {
        match self {
            Self::Tenant => "",
            Self::Endpoint(id) => id.as_str(),
        }
    }
}

/// A secret that signs.
#[derive(Debug, Clone)]
pub struct LiveSecret {
    /// Counts the rotations; the highest is the newest.
    pub version: u32,
    /// The secret.
    pub secret: SecretString,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops signing; `None` for the newest.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A secret as it is stored.
pub(crate) struct SealedSecret {
    pub(crate) endpoint_id: String,
    id: String,
    version: i32,
    ciphertext: Vec<u8>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
}

/// A secret on its way into the database.
pub(crate) struct NewSecret {
    tenant: String,
    endpoint_id: String,
    id: String,
    version: i32,
    key_id: String,
    ciphertext: Vec<u8>,
    created_at: DateTime<Utc>,
}

impl NewSecret {
    pub(crate) fn seal(
        keys: &KeyRing,
        tenant: &TenantId,
        scope: SecretScope<'_>,
        version: i32,
        secret: &SecretString,
        now: DateTime<Utc>,
    ) -> Self {
        let id = type_id("sec", now, rand::random());
        let owner = scope.endpoint_id();
        let place = Place {
            tenant: tenant.as_str(),
            owner,
            id: &id,
            version,
        };
        let ciphertext = keys.seal(secret.expose_secret().as_bytes(), &place);
        Self {
            tenant: tenant.to_string(),
            endpoint_id: owner.to_owned(),
            version,
            key_id: keys.primary().to_owned(),
            ciphertext,
            created_at: now,
            id,
        }
    }
}

impl SealedSecret {
    /// Reads the columns `endpoint_id, id, version, ciphertext, created_at, expires_at`.
    pub(crate) fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            endpoint_id: row.try_get("endpoint_id")?,
            id: row.try_get("id")?,
            version: row.try_get("version")?,
            ciphertext: row.try_get("ciphertext")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
        })
    }

    pub(crate) fn open(&self, keys: &KeyRing, tenant: &str) -> Result<LiveSecret, SecretError> {
        let place = Place {
            tenant,
            owner: &self.endpoint_id,
            id: &self.id,
            version: self.version,
        };
        let plain = keys.open(&self.ciphertext, &place)?;
        let text = std::str::from_utf8(&plain).map_err(|_invalid| SecretError::UnknownFormat)?;
        Ok(LiveSecret {
            version: self.version.unsigned_abs(),
            secret: SecretString::from(text),
            created_at: self.created_at,
            expires_at: self.expires_at,
        })
    }
}

impl Store {
    /// The secrets that sign at `now`, newest first. Empty when there is none.
    ///
    /// # Errors
    /// [`StoreError::Secret`] when one does not open; otherwise the database cannot be reached.
    pub async fn live_secrets(
        &self,
        tenant: &TenantId,
        scope: SecretScope<'_>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LiveSecret>, StoreError> {
        let sealed = self
            .run("read secrets", async |db| {
                live(db, tenant, &[scope.endpoint_id()], now).await
            })
            .await?;
        self.open_all(tenant, &sealed)
    }

    /// Makes `secret` the newest one. Those before it sign on until their time is over: the
    /// newest of them for `overlap`, earlier ones as long as they had anyway. With no overlap
    /// they end at once. Also stores the first secret. Answers all that sign now, newest first;
    /// `None` if there is no such tenant or endpoint.
    ///
    /// # Errors
    /// [`StoreError::Secret`] when an older one does not open; otherwise the database cannot be
    /// reached or refuses.
    pub async fn rotate_secret(
        &self,
        tenant: &TenantId,
        scope: SecretScope<'_>,
        secret: &SecretString,
        overlap: std::time::Duration,
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<LiveSecret>>, StoreError> {
        let owner = scope.endpoint_id();
        let lock = match scope {
            SecretScope::Tenant => {
                "SELECT 1 FROM tenants
                WHERE id = $1 AND $2 = '' AND erasing_since IS NULL FOR NO KEY UPDATE"
            }
            SecretScope::Endpoint(_) => {
                "SELECT 1 FROM endpoints
                WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE"
            }
        };
        let newest = "
            SELECT COALESCE(max(version), 0) FROM secrets WHERE tenant = $1 AND endpoint_id = $2";
        let retire = "
            UPDATE secrets SET expires_at = $3
            WHERE tenant = $1 AND endpoint_id = $2 AND expires_at IS NULL";
        let forget = "
            DELETE FROM secrets WHERE tenant = $1 AND endpoint_id = $2 AND expires_at <= $3";
        let sealed = self
            .run("rotate a secret", async |db| {
                let mut tx = db.begin().await?;
                let locked = sqlx::query(lock).bind(tenant.as_str()).bind(owner);
                if locked.fetch_optional(&mut *tx).await?.is_none() {
                    return Ok(None);
                }
                let version: i32 = sqlx::query_scalar(newest)
                    .bind(tenant.as_str())
                    .bind(owner)
                    .fetch_one(&mut *tx)
                    .await?;
                for (sql, at) in [(retire, now + overlap), (forget, now)] {
                    let query = sqlx::query(sql).bind(tenant.as_str()).bind(owner).bind(at);
                    query.execute(&mut *tx).await?;
                }
                let new = NewSecret::seal(self.keys(), tenant, scope, version + 1, secret, now);
                insert_secret(&mut tx, &new).await?;
                let sealed = live(&mut tx, tenant, &[owner], now).await?;
                tx.commit().await?;
                Ok(Some(sealed))
            })
            .await?;
        sealed
            .map(|sealed| self.open_all(tenant, &sealed))
            .transpose()
    }

    /// Removes secrets whose overlap is over.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn delete_expired_secrets(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.run("delete expired secrets", async |db| {
            let query = sqlx::query("DELETE FROM secrets WHERE expires_at <= $1").bind(now);
            query.execute(&mut *db).await
        })
        .await
        .map(|done| done.rows_affected())
    }

    /// Encrypts up to `limit` secrets anew that are not under the primary key, and answers how
    /// many. Repeat until it answers 0; then the old key can go.
    ///
    /// # Errors
    /// [`StoreError::Secret`] when one does not open; otherwise the database cannot be reached.
    pub async fn reencrypt_secrets(&self, limit: u32) -> Result<u64, StoreError> {
        let select = "
            SELECT tenant, endpoint_id, id, version, ciphertext, created_at, expires_at
            FROM secrets WHERE key_id <> $1 LIMIT $2 FOR UPDATE SKIP LOCKED";
        let update = "
            UPDATE secrets SET key_id = $4, ciphertext = $5
            WHERE tenant = $1 AND endpoint_id = $2 AND id = $3";
        let keys = self.keys();
        let done = self
            .run("encrypt secrets anew", async |db| {
                let mut tx = db.begin().await?;
                let query = sqlx::query(select)
                    .bind(keys.primary())
                    .bind(i64::from(limit));
                let rows = query.fetch_all(&mut *tx).await?;
                for row in &rows {
                    let tenant: &str = row.try_get("tenant")?;
                    let sealed = SealedSecret::from_row(row)?;
                    let SealedSecret {
                        endpoint_id: owner,
                        id,
                        version,
                        ciphertext,
                        ..
                    } = &sealed;
                    let place = Place {
                        tenant,
                        owner,
                        id,
                        version: *version,
                    };
                    let plain = match keys.open(ciphertext, &place) {
                        Ok(plain) => plain,
                        Err(error) => return Ok(Err(error)),
                    };
                    sqlx::query(update)
                        .bind(tenant)
                        .bind(owner)
                        .bind(id)
                        .bind(keys.primary())
                        .bind(keys.seal(&plain, &place))
                        .execute(&mut *tx)
                        .await?;
                }
                tx.commit().await?;
                Ok(Ok(rows.len() as u64))
            })
            .await?;
        Ok(done?)
    }

    /// Opens one secret per master key in use: the services call it at start, to learn of a
    /// missing or wrong key before the first delivery does.
    ///
    /// # Errors
    /// [`StoreError::Secret`] says which key is missing or wrong; otherwise the database cannot
    /// be reached.
    pub async fn check_master_keys(&self) -> Result<(), StoreError> {
        let sql = "
            SELECT DISTINCT ON (key_id)
                tenant, endpoint_id, id, version, ciphertext, created_at, expires_at
            FROM secrets ORDER BY key_id";
        let rows = self
            .run("check the master keys", async |db| {
                sqlx::query(sql).fetch_all(&mut *db).await
            })
            .await?;
        for row in &rows {
            let read = || Ok((row.try_get("tenant")?, SealedSecret::from_row(row)?));
            let (tenant, sealed): (&str, SealedSecret) =
                read().map_err(|source| StoreError::Database {
                    operation: "check the master keys",
                    source,
                })?;
            sealed.open(self.keys(), tenant)?;
        }
        Ok(())
    }

    fn open_all(
        &self,
        tenant: &TenantId,
        sealed: &[SealedSecret],
    ) -> Result<Vec<LiveSecret>, StoreError> {
        let open = |secret: &SealedSecret| secret.open(self.keys(), tenant.as_str());
        Ok(sealed
            .iter()
            .map(open)
            .collect::<Result<_, SecretError>>()?)
    }
}

/// The secrets of these owners that sign at `now`, by owner, newest first.
pub(crate) async fn live(
    db: &mut PgConnection,
    tenant: &TenantId,
    owners: &[&str],
    now: DateTime<Utc>,
) -> Result<Vec<SealedSecret>, sqlx::Error> {
    let sql = "
        SELECT endpoint_id, id, version, ciphertext, created_at, expires_at FROM secrets
        WHERE tenant = $1 AND endpoint_id = ANY ($2) AND (expires_at IS NULL OR expires_at > $3)
        ORDER BY endpoint_id, version DESC";
    sqlx::query(sql)
        .bind(tenant.as_str())
        .bind(owners)
        .bind(now)
        .try_map(|row| SealedSecret::from_row(&row))
        .fetch_all(db)
        .await
}

pub(crate) async fn insert_secret(
    db: &mut PgConnection,
    secret: &NewSecret,
) -> Result<(), sqlx::Error> {
    let sql = "
        INSERT INTO secrets (tenant, endpoint_id, id, version, key_id, ciphertext, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(&secret.tenant)
        .bind(&secret.endpoint_id)
        .bind(&secret.id)
        .bind(secret.version)
        .bind(&secret.key_id)
        .bind(&secret.ciphertext)
        .bind(secret.created_at)
        .execute(db)
        .await?;
    Ok(())
}
