//! Endpoints: where a tenant's events go.
//!
//! A change of anything but `failing_since` reaches the dispatchers within a second, by the
//! triggers of the schema. A deleted endpoint stays as a row without secrets, invisible here, so
//! that its deliveries' history keeps its meaning.

use chrono::{DateTime, Utc};
use serde_json::Value;
use signpost_domain::{EndpointId, EndpointStatus, TenantId};
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow, types::Json};

use crate::{
    Page, PageRequest, Store, StoreError,
    page::id_cursor,
    row::{count, parsed, word},
    secrets::{NewSecret, SecretScope, insert_secret},
};

/// What a user sets of an endpoint. All of it is checked before it comes here.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSettings {
    /// Its name for people.
    pub name: String,
    /// Where requests go.
    pub url: String,
    /// The event type patterns it wants.
    pub events: Vec<String>,
    /// Conditions on the data.
    pub filter: Option<Value>,
    /// The wire profile's name.
    pub profile: String,
    /// Whether it gets its deliveries.
    pub status: EndpointStatus,
    /// Headers added to its requests: an object of texts.
    pub headers: Value,
    /// Its own retry schedule instead of the profile's.
    pub retry: Option<Value>,
    /// Its own timeout instead of the profile's, as in `10s`.
    pub timeout: Option<String>,
    /// Most requests per second.
    pub rate_limit: Option<u32>,
    /// The user's own notes: any object.
    pub metadata: Value,
}

/// A stored endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: EndpointId,
    /// What the user set.
    pub settings: EndpointSettings,
    /// Why Signpost itself changed the status; `None` when a person did.
    pub status_reason: Option<String>,
    /// Since when every attempt has failed; `None` after a success.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its settings or its status were last changed.
    pub updated_at: DateTime<Utc>,
}

/// What came of a change of settings.
#[derive(Debug, Clone, PartialEq)]
pub enum EndpointUpdate {
    /// Stored; this is the endpoint now.
    Updated(Box<Endpoint>),
    /// Somebody else changed the endpoint since it was read: read it again.
    Outdated,
    /// There is no such endpoint.
    Missing,
}

/// The columns that [`Endpoint`] is read from.
macro_rules! endpoint_columns {
    () => {
        "tenant, id, name, url, events, filter, profile, status, status_reason, headers, retry,
        timeout, rate_limit, metadata, failing_since, created_at, updated_at"
    };
}
pub(crate) use endpoint_columns;

impl Store {
    /// Stores a new endpoint, with its signing secret if it has one of its own. `None` if the
    /// tenant does not exist.
    ///
    /// # Errors
    /// [`StoreError::conflict`] is `endpoints_pkey` when the id is taken; otherwise the database
    /// cannot be reached or refuses.
    pub async fn insert_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        settings: &EndpointSettings,
        secret: Option<&secrecy::SecretString>,
        now: DateTime<Utc>,
    ) -> Result<Option<Endpoint>, StoreError> {
        let sql = concat!(
            "
            INSERT INTO endpoints (tenant, id, name, url, events, filter, profile, status, headers,
                retry, timeout, rate_limit, metadata, created_at, updated_at)
            SELECT t.id, $2, $3, $4, $5, $6::json, $7, $8, $9::json, $10::json, $11, $12, $13::json,
                $14, $14
            FROM tenants t WHERE t.id = $1 AND t.erasing_since IS NULL
            RETURNING ",
            endpoint_columns!()
        );
        let scope = SecretScope::Endpoint(id);
        let secret = secret.map(|text| NewSecret::seal(self.keys(), tenant, scope, 1, text, now));
        self.run("store an endpoint", async |db| {
            let mut tx = db.begin().await?;
            let inserted = bind(sqlx::query(sql), tenant, id, settings)
                .bind(now)
                .try_map(|row| endpoint(&row))
                .fetch_optional(&mut *tx)
                .await?;
            if inserted.is_some()
                && let Some(secret) = &secret
            {
                insert_secret(&mut tx, secret).await?;
            }
            tx.commit().await?;
            Ok(inserted)
        })
        .await
    }

    /// The endpoint, unless it is deleted.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn find_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> Result<Option<Endpoint>, StoreError> {
        self.run("read an endpoint", async |db| find(db, tenant, id).await)
            .await
    }

    /// The tenant's endpoints, newest first.
    ///
    /// # Errors
    /// A bad cursor, or the database cannot be reached.
    pub async fn list_endpoints(
        &self,
        tenant: &TenantId,
        page: &PageRequest,
    ) -> Result<Page<Endpoint>, StoreError> {
        let before = page.after_id()?;
        let sql = concat!(
            "SELECT ",
            endpoint_columns!(),
            " FROM endpoints
            WHERE tenant = $1 AND deleted_at IS NULL AND ($2::text IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3"
        );
        let items = self
            .run("list endpoints", async |db| {
                sqlx::query(sql)
                    .bind(tenant.as_str())
                    .bind(before)
                    .bind(page.rows_wanted())
                    .try_map(|row| endpoint(&row))
                    .fetch_all(&mut *db)
                    .await
            })
            .await?;
        Ok(Page::from_rows(items, page, None, |endpoint| {
            id_cursor(endpoint.id.as_str())
        }))
    }

    /// How many endpoints the tenant has.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn count_endpoints(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM endpoints WHERE tenant = $1 AND deleted_at IS NULL";
        self.run("count endpoints", async |db| {
            sqlx::query_scalar(sql)
                .bind(tenant.as_str())
                .fetch_one(&mut *db)
                .await
        })
        .await
        .map(i64::unsigned_abs)
    }

    /// Replaces the settings of an endpoint that was read at `read_at` (its `updated_at` then). A
    /// new status that differs is the user's: it loses its reason, and `active` forgets past
    /// failures.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn update_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        settings: &EndpointSettings,
        read_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<EndpointUpdate, StoreError> {
        // updated_at tells versions apart, so it must move on even within one microsecond.
        let sql = concat!(
            "
            UPDATE endpoints SET name = $3, url = $4, events = $5, filter = $6::json, profile = $7,
                status = $8, headers = $9::json, retry = $10::json, timeout = $11, rate_limit = $12,
                metadata = $13::json, updated_at = greatest($14, updated_at + interval '1 microsecond'),
                status_reason = CASE WHEN status = $8 THEN status_reason END,
                failing_since = CASE WHEN status = $8 OR $8 <> 'active' THEN failing_since END
            WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL AND updated_at = $15
            RETURNING ",
            endpoint_columns!()
        );
        self.run("change an endpoint", async |db| {
            let updated = bind(sqlx::query(sql), tenant, id, settings)
                .bind(now)
                .bind(read_at)
                .try_map(|row| endpoint(&row))
                .fetch_optional(&mut *db)
                .await?;
            Ok(match updated {
                Some(endpoint) => EndpointUpdate::Updated(Box::new(endpoint)),
                None if find(db, tenant, id).await?.is_some() => EndpointUpdate::Outdated,
                None => EndpointUpdate::Missing,
            })
        })
        .await
    }

    /// Deletes an endpoint and its secrets. `false` if it is not there.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn delete_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let endpoint = "
            UPDATE endpoints SET deleted_at = $3, updated_at = $3, failing_since = NULL
            WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL";
        let secrets = "DELETE FROM secrets WHERE tenant = $1 AND endpoint_id = $2";
        self.run("delete an endpoint", async |db| {
            let mut tx = db.begin().await?;
            let query = sqlx::query(endpoint)
                .bind(tenant.as_str())
                .bind(id.as_str())
                .bind(now);
            let deleted = query.execute(&mut *tx).await?.rows_affected() > 0;
            let query = sqlx::query(secrets).bind(tenant.as_str()).bind(id.as_str());
            query.execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(deleted)
        })
        .await
    }
}

async fn find(
    db: &mut PgConnection,
    tenant: &TenantId,
    id: &EndpointId,
) -> Result<Option<Endpoint>, sqlx::Error> {
    let sql = concat!(
        "SELECT ",
        endpoint_columns!(),
        " FROM endpoints WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL"
    );
    let query = sqlx::query(sql).bind(tenant.as_str()).bind(id.as_str());
    query.try_map(|row| endpoint(&row)).fetch_optional(db).await
}

/// Binds $1 to $13. JSON goes as text, to be cast to `json`: as sqlx's own type it would become
/// `jsonb` on the way and lose its order.
fn bind<'a>(
    query: crate::fanout::Query<'a>,
    tenant: &'a TenantId,
    id: &'a EndpointId,
    settings: &'a EndpointSettings,
) -> crate::fanout::Query<'a> {
    query
        .bind(tenant.as_str())
        .bind(id.as_str())
        .bind(&settings.name)
        .bind(&settings.url)
        .bind(&settings.events)
        .bind(settings.filter.as_ref().map(Value::to_string))
        .bind(&settings.profile)
        .bind(settings.status.as_str())
        .bind(settings.headers.to_string())
        .bind(settings.retry.as_ref().map(Value::to_string))
        .bind(settings.timeout.as_deref())
        .bind(
            settings
                .rate_limit
                .map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)),
        )
        .bind(settings.metadata.to_string())
}

pub(crate) fn endpoint(row: &PgRow) -> Result<Endpoint, sqlx::Error> {
    let json = |column| -> Result<Option<Value>, sqlx::Error> {
        let value: Option<Json<Value>> = row.try_get(column)?;
        Ok(value.map(|Json(value)| value))
    };
    let rate_limit: Option<i32> = row.try_get("rate_limit")?;
    Ok(Endpoint {
        tenant: parsed(row, "tenant")?,
        id: parsed(row, "id")?,
        settings: EndpointSettings {
            name: row.try_get("name")?,
            url: row.try_get("url")?,
            events: row.try_get("events")?,
            filter: json("filter")?,
            profile: row.try_get("profile")?,
            status: word(row, "status", EndpointStatus::parse)?,
            headers: json("headers")?.unwrap_or_default(),
            retry: json("retry")?,
            timeout: row.try_get("timeout")?,
            rate_limit: rate_limit.map(|_| count(row, "rate_limit")).transpose()?,
            metadata: json("metadata")?.unwrap_or_default(),
        },
        status_reason: row.try_get("status_reason")?,
        failing_since: row.try_get("failing_since")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
