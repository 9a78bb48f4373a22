//! API keys: only their hashes are stored, so that a reader of the database cannot use them.

use chrono::{DateTime, Utc};
use signpost_domain::{KeyId, TenantId};
use sqlx::{Row as _, postgres::PgRow};

use crate::{
    Page, PageRequest, Store, StoreError,
    page::id_cursor,
    row::{parsed, parsed_optional, word},
};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyRole {
    /// Everything, in all tenants.
    Admin,
    /// Everything in one tenant.
    Manager,
    /// Publish to one tenant.
    Publisher,
    /// Read and change one tenant's endpoints, and read its deliveries; expires.
    Portal,
}

impl KeyRole {
    /// Every role.
    pub const ALL: &'static [Self] = &[Self::Admin, Self::Manager, Self::Publisher, Self::Portal];

    /// The word used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Publisher => "publisher",
            Self::Portal => "portal",
        }
    }

    /// The role that `text` names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text)
    }
}

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, which is no secret.
    pub id: KeyId,
    /// What it may do.
    pub role: KeyRole,
    /// Where; `None` for an admin.
    pub tenant: Option<TenantId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to within the time that uses are collected for.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Stores a key under the hash of its text. `false` if its tenant does not exist.
    ///
    /// # Errors
    /// [`StoreError::conflict`] when the id or the hash is there already, or an admin's key names
    /// a tenant, or another one's does not; otherwise the database cannot be reached or refuses.
    pub async fn insert_key(&self, key: &ApiKey, hash: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "
            INSERT INTO keys (id, hash, role, tenant, created_at, expires_at)
            SELECT $1, $2, $3, $4, $5, $6
            WHERE $4 IS NULL
                OR EXISTS (SELECT 1 FROM tenants WHERE id = $4 AND erasing_since IS NULL)";
        self.run("store an API key", async |db| {
            sqlx::query(sql)
                .bind(key.id.as_str())
                .bind(hash.as_slice())
                .bind(key.role.as_str())
                .bind(key.tenant.as_ref().map(TenantId::as_str))
                .bind(key.created_at)
                .bind(key.expires_at)
                .execute(&mut *db)
                .await
        })
        .await
        .map(|done| done.rows_affected() > 0)
    }

    /// The key of this hash, expired or not.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn find_key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        let sql = "
            SELECT id, role, tenant, created_at, expires_at, last_used_at FROM keys
            WHERE hash = $1";
        self.run("look up an API key", async |db| {
            let query = sqlx::query(sql).bind(hash.as_slice());
            query
                .try_map(|row| api_key(&row))
                .fetch_optional(&mut *db)
                .await
        })
        .await
    }

    /// The keys of a tenant, or with `None` those of the admins; newest first.
    ///
    /// # Errors
    /// A bad cursor, or the database cannot be reached.
    pub async fn list_keys(
        &self,
        tenant: Option<&TenantId>,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        let before = page.after_id()?;
        let sql = "
            SELECT id, role, tenant, created_at, expires_at, last_used_at FROM keys
            WHERE tenant IS NOT DISTINCT FROM $1 AND ($2::text IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3";
        let items = self
            .run("list API keys", async |db| {
                sqlx::query(sql)
                    .bind(tenant.map(TenantId::as_str))
                    .bind(before)
                    .bind(page.rows_wanted())
                    .try_map(|row| api_key(&row))
                    .fetch_all(&mut *db)
                    .await
            })
            .await?;
        Ok(Page::from_rows(items, page, None, |key| {
            id_cursor(key.id.as_str())
        }))
    }

    /// Revokes a key of a tenant, or with `None` an admin's. Every process hears of it
    /// ([`crate::Change::Key`]). `false` if it is not there.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn delete_key(
        &self,
        tenant: Option<&TenantId>,
        id: &KeyId,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM keys WHERE id = $1 AND tenant IS NOT DISTINCT FROM $2";
        self.run("revoke an API key", async |db| {
            let query = sqlx::query(sql)
                .bind(id.as_str())
                .bind(tenant.map(TenantId::as_str));
            query.execute(&mut *db).await
        })
        .await
        .map(|done| done.rows_affected() > 0)
    }

    /// Revokes a key, whoever's it is: for operators, who may know nothing but its id. Every
    /// process hears of it ([`crate::Change::Key`]). `false` if it is not there.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn delete_any_key(&self, id: &KeyId) -> Result<bool, StoreError> {
        self.run("revoke an API key", async |db| {
            let query = sqlx::query("DELETE FROM keys WHERE id = $1").bind(id.as_str());
            query.execute(&mut *db).await
        })
        .await
        .map(|done| done.rows_affected() > 0)
    }

    /// Whether any key is stored.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn has_keys(&self) -> Result<bool, StoreError> {
        self.run("look for API keys", async |db| {
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM keys)")
                .fetch_one(&mut *db)
                .await
        })
        .await
    }

    /// Notes when keys were last used; collected by the caller, so that a request costs no write.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn touch_keys(&self, uses: &[(KeyId, DateTime<Utc>)]) -> Result<(), StoreError> {
        let (ids, times): (Vec<_>, Vec<_>) = uses.iter().map(|(id, at)| (id.as_str(), *at)).unzip();
        let sql = "
            UPDATE keys SET last_used_at = used.at
            FROM unnest($1::text[], $2::timestamptz[]) AS used (id, at)
            WHERE keys.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)";
        self.run("note the use of API keys", async |db| {
            sqlx::query(sql)
                .bind(ids)
                .bind(times)
                .execute(&mut *db)
                .await
        })
        .await
        .map(drop)
    }
}

fn api_key(row: &PgRow) -> Result<ApiKey, sqlx::Error> {
    Ok(ApiKey {
        id: parsed(row, "id")?,
        role: word(row, "role", KeyRole::parse)?,
        tenant: parsed_optional(row, "tenant")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}
