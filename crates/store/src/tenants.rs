//! Tenants. `default` always exists.
//!
//! Erasing a tenant takes two parts: [`Store::begin_erasure`] makes it invisible and removes what
//! it configured at once; its events and deliveries, which may be millions, then go in small
//! steps ([`Store::erase_step`]) that anybody can continue after a crash.

use chrono::{DateTime, TimeDelta, Utc};
use signpost_domain::TenantId;
use sqlx::{Connection as _, Row as _, postgres::PgRow};

use crate::{Page, PageRequest, Store, StoreError, page::id_cursor, row::parsed};

/// A dispatcher may not have heard of an erasure for this long, and still add deliveries.
const ERASE_AFTER: TimeDelta = TimeDelta::seconds(30);

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name for people.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its name was last set.
    pub updated_at: DateTime<Utc>,
}

/// What one step of an erasure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EraseStep {
    /// Rows removed.
    pub removed: u64,
    /// Whether the tenant is gone.
    pub is_done: bool,
}

impl Store {
    /// Makes the tenant, or sets its name. `None` while a tenant of this id is being erased.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn put_tenant(
        &self,
        id: &TenantId,
        name: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<Tenant>, StoreError> {
        let sql = "
            INSERT INTO tenants AS t (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at
            WHERE t.erasing_since IS NULL
            RETURNING id, name, created_at, updated_at";
        self.run("store a tenant", async |db| {
            let query = sqlx::query(sql).bind(id.as_str()).bind(name).bind(now);
            query
                .try_map(|row| tenant(&row))
                .fetch_optional(&mut *db)
                .await
        })
        .await
    }

    /// The tenant; `None` if there is none, or it is being erased.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn find_tenant(&self, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
        let sql = "
            SELECT id, name, created_at, updated_at FROM tenants
            WHERE id = $1 AND erasing_since IS NULL";
        self.run("read a tenant", async |db| {
            let query = sqlx::query(sql).bind(id.as_str());
            query
                .try_map(|row| tenant(&row))
                .fetch_optional(&mut *db)
                .await
        })
        .await
    }

    /// The tenants in the order of their ids.
    ///
    /// # Errors
    /// A bad cursor, or the database cannot be reached.
    pub async fn list_tenants(&self, page: &PageRequest) -> Result<Page<Tenant>, StoreError> {
        let after = page.after_id()?.unwrap_or_default();
        let sql = "
            SELECT id, name, created_at, updated_at FROM tenants
            WHERE id > $1 AND erasing_since IS NULL ORDER BY id LIMIT $2";
        let items = self
            .run("list tenants", async |db| {
                let query = sqlx::query(sql).bind(after).bind(page.rows_wanted());
                query.try_map(|row| tenant(&row)).fetch_all(&mut *db).await
            })
            .await?;
        Ok(Page::from_rows(items, page, None, |tenant| {
            id_cursor(tenant.id.as_str())
        }))
    }

    /// Makes the tenant invisible and removes its keys, endpoints, secrets and event types.
    /// `false` if there is no such tenant.
    ///
    /// # Errors
    /// [`StoreError::conflict`] is `tenants_default_stays` for `default`, which always exists;
    /// otherwise the database cannot be reached or refuses.
    pub async fn begin_erasure(
        &self,
        id: &TenantId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.run("begin to erase a tenant", async |db| {
            let mut tx = db.begin().await?;
            let mark =
                "UPDATE tenants SET erasing_since = $2 WHERE id = $1 AND erasing_since IS NULL";
            let marked = sqlx::query(mark)
                .bind(id.as_str())
                .bind(now)
                .execute(&mut *tx)
                .await?;
            for sql in [
                "DELETE FROM keys WHERE tenant = $1",
                "DELETE FROM secrets WHERE tenant = $1",
                "DELETE FROM endpoints WHERE tenant = $1",
                "DELETE FROM event_types WHERE tenant = $1",
                "DELETE FROM idempotency_keys WHERE tenant = $1",
            ] {
                sqlx::query(sql).bind(id.as_str()).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Ok(marked.rows_affected() > 0)
        })
        .await
    }

    /// The tenants whose erasure has begun and is not done.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn tenants_being_erased(&self) -> Result<Vec<TenantId>, StoreError> {
        let sql = "SELECT id FROM tenants WHERE erasing_since IS NOT NULL ORDER BY erasing_since";
        self.run("list tenants being erased", async |db| {
            sqlx::query(sql)
                .try_map(|row: PgRow| parsed(&row, "id"))
                .fetch_all(&mut *db)
                .await
        })
        .await
    }

    /// Removes up to `limit` deliveries, with their attempts, and as many events of a tenant whose
    /// erasure has begun. Repeat until it is done; before 30 s have passed since it began it is
    /// never done, because a dispatcher may still be adding to it.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn erase_step(
        &self,
        id: &TenantId,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<EraseStep, StoreError> {
        // Ids first, rows by their ids then: with both in one statement the planner, which does
        // not know the limit, reads the whole table.
        let deliveries = "SELECT id FROM deliveries WHERE tenant = $1 ORDER BY id LIMIT $2";
        let events = "SELECT id FROM events WHERE tenant = $1 ORDER BY id LIMIT $2";
        let erase_attempts = "DELETE FROM attempts WHERE tenant = $1 AND delivery_id = ANY ($2)";
        let erase_deliveries = "DELETE FROM deliveries WHERE tenant = $1 AND id = ANY ($2)";
        let erase_events = "DELETE FROM events WHERE tenant = $1 AND id = ANY ($2)";
        let tenant = "DELETE FROM tenants WHERE id = $1 AND erasing_since < $2";
        let is_begun = "SELECT erasing_since IS NOT NULL FROM tenants WHERE id = $1";
        self.run("erase a tenant", async |db| {
            let begun: Option<bool> = sqlx::query_scalar(is_begun)
                .bind(id.as_str())
                .fetch_optional(&mut *db)
                .await?;
            if begun != Some(true) {
                // Gone, or made again since.
                return Ok(EraseStep {
                    removed: 0,
                    is_done: true,
                });
            }
            let mut removed = 0;
            for (select, erase) in [
                (deliveries, [erase_attempts, erase_deliveries].as_slice()),
                (events, [erase_events].as_slice()),
            ] {
                let query = sqlx::query_scalar(select)
                    .bind(id.as_str())
                    .bind(i64::from(limit));
                let ids: Vec<String> = query.fetch_all(&mut *db).await?;
                for sql in erase {
                    sqlx::query(*sql)
                        .bind(id.as_str())
                        .bind(&ids)
                        .execute(&mut *db)
                        .await?;
                }
                removed += ids.len() as u64;
            }
            if removed > 0 {
                return Ok(EraseStep {
                    removed,
                    is_done: false,
                });
            }
            let query = sqlx::query(tenant)
                .bind(id.as_str())
                .bind(now - ERASE_AFTER);
            let is_done = query.execute(&mut *db).await?.rows_affected() > 0;
            Ok(EraseStep {
                removed: 0,
                is_done,
            })
        })
        .await
    }
}

fn tenant(row: &PgRow) -> Result<Tenant, sqlx::Error> {
    Ok(Tenant {
        id: parsed(row, "id")?,
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
