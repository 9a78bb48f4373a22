//! What the dispatchers keep in memory of a tenant.
//!
//! The dispatcher's directory loads a tenant when its first event comes, and again when its
//! version changes ([`crate::Listener`] tells, [`Store::tenant_versions`] checks): the tenant
//! first, then its endpoints in pages, so that the rows of a large one are never all in memory.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use signpost_domain::{EndpointId, TenantId};
use sqlx::postgres::PgRow;

use crate::{
    Endpoint, EventType, LiveSecret, SecretScope, Store, StoreError, StoredProfile,
    endpoints::{endpoint, endpoint_columns},
    event_types::{event_type, event_type_columns},
    keyring::{KeyRing, SecretError},
    profiles::{profile_columns, stored_profile},
    row::parsed,
    secrets::{SealedSecret, live},
};

/// The secrets that sign, newest first; or why one of them does not open. Requests that cannot
/// be signed must wait, and nobody else's with them.
pub type Secrets = Result<Vec<LiveSecret>, SecretError>;

/// A tenant as the dispatchers need it.
#[derive(Debug, Clone)]
pub struct TenantDirectory {
    /// The tenant.
    pub tenant: TenantId,
    /// Differs from every other version there ever was. What is read with it or after it is at
    /// least as new: a change in between brings a newer version, and with it another load.
    pub version: i64,
    /// The tenant's own secrets.
    pub secrets: Secrets,
    /// Its event types.
    pub event_types: Vec<EventType>,
}

/// An endpoint with its secrets.
#[derive(Debug, Clone)]
pub struct DirectoryEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its own secrets; empty where it signs with the tenant's.
    pub secrets: Secrets,
}

/// The custom profiles.
#[derive(Debug, Clone)]
pub struct ProfileDirectory {
    /// Differs from every other version there ever was; the contents are at least as new.
    pub version: i64,
    /// The newest version of each.
    pub profiles: Vec<StoredProfile>,
}

impl Store {
    /// A tenant; `None` if there is no such tenant. Secrets that have expired at `now` are left
    /// out; those that will expire say when.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn load_tenant(
        &self,
        tenant: &TenantId,
        now: DateTime<Utc>,
    ) -> Result<Option<TenantDirectory>, StoreError> {
        let version = "SELECT version FROM tenants WHERE id = $1 AND erasing_since IS NULL";
        let event_types = concat!(
            "SELECT ",
            event_type_columns!(),
            " FROM event_types WHERE tenant = $1"
        );
        let id = tenant.as_str();
        let own = SecretScope::Tenant.endpoint_id();
        let loaded = self
            .run("load a tenant", async |db| {
                // The version first: see `TenantDirectory::version`.
                let version = sqlx::query_scalar(version)
                    .bind(id)
                    .fetch_optional(&mut *db)
                    .await?;
                let Some(version) = version else {
                    return Ok(None);
                };
                let secrets = live(db, tenant, &[own], now).await?;
                let event_types = sqlx::query(event_types)
                    .bind(id)
                    .try_map(|row| event_type(&row));
                let event_types = event_types.fetch_all(&mut *db).await?;
                Ok(Some((version, secrets, event_types)))
            })
            .await?;
        Ok(
            loaded.map(|(version, sealed, event_types)| TenantDirectory {
                tenant: tenant.clone(),
                version,
                secrets: take(&mut open_by_owner(self.keys(), tenant, sealed), own),
                event_types,
            }),
        )
    }

    /// The first `limit` endpoints of a tenant after `after` that are not deleted, in the order of
    /// their ids, with their secrets as [`Store::load_tenant`] gives them. Fewer than `limit` when
    /// there are no more.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn load_endpoints(
        &self,
        tenant: &TenantId,
        after: Option<&EndpointId>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Vec<DirectoryEndpoint>, StoreError> {
        let sql = concat!(
            "SELECT ",
            endpoint_columns!(),
            " FROM endpoints WHERE tenant = $1 AND id > $2 AND deleted_at IS NULL
            ORDER BY id LIMIT $3"
        );
        let (endpoints, sealed) = self
            .run("load endpoints", async |db| {
                let endpoints = sqlx::query(sql)
                    .bind(tenant.as_str())
                    .bind(after.map_or("", EndpointId::as_str))
                    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                    .try_map(|row| endpoint(&row))
                    .fetch_all(&mut *db)
                    .await?;
                let owners: Vec<_> = endpoints.iter().map(|found| found.id.as_str()).collect();
                let secrets = live(db, tenant, &owners, now).await?;
                Ok((endpoints, secrets))
            })
            .await?;
        let mut secrets = open_by_owner(self.keys(), tenant, sealed);
        let with_secrets = |endpoint: Endpoint| DirectoryEndpoint {
            secrets: take(&mut secrets, endpoint.id.as_str()),
            endpoint,
        };
        Ok(endpoints.into_iter().map(with_secrets).collect())
    }

    /// The versions of those tenants that exist.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn tenant_versions(
        &self,
        tenants: &[TenantId],
    ) -> Result<HashMap<TenantId, i64>, StoreError> {
        let ids: Vec<_> = tenants.iter().map(TenantId::as_str).collect();
        let sql = "
            SELECT id, version FROM tenants WHERE id = ANY ($1) AND erasing_since IS NULL";
        self.run("read the tenants' versions", async |db| {
            let rows = sqlx::query(sql)
                .bind(ids)
                .try_map(|row: PgRow| {
                    Ok((parsed(&row, "id")?, sqlx::Row::try_get(&row, "version")?))
                })
                .fetch_all(&mut *db)
                .await?;
            Ok(rows.into_iter().collect())
        })
        .await
    }

    /// The newest version of every custom profile that is not deleted.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn load_profiles(&self) -> Result<ProfileDirectory, StoreError> {
        let version = "SELECT value FROM settings WHERE name = 'profiles_version'";
        let profiles = concat!(
            "SELECT DISTINCT ON (name) ",
            profile_columns!(),
            " FROM profiles WHERE deleted_at IS NULL ORDER BY name, version DESC"
        );
        self.run("load the profiles", async |db| {
            let version = sqlx::query_scalar(version).fetch_one(&mut *db).await?;
            let profiles = sqlx::query(profiles).try_map(|row| stored_profile(&row));
            Ok(ProfileDirectory {
                version,
                profiles: profiles.fetch_all(&mut *db).await?,
            })
        })
        .await
    }

    /// The version of the custom profiles as a whole.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn profiles_version(&self) -> Result<i64, StoreError> {
        let sql = "SELECT value FROM settings WHERE name = 'profiles_version'";
        self.run("read the profiles' version", async |db| {
            sqlx::query_scalar(sql).fetch_one(&mut *db).await
        })
        .await
    }
}

fn open_by_owner(
    keys: &KeyRing,
    tenant: &TenantId,
    sealed: Vec<SealedSecret>,
) -> HashMap<String, Secrets> {
    let mut secrets = HashMap::new();
    for secret in sealed {
        let opened = secret.open(keys, tenant.as_str());
        let of_owner = secrets
            .entry(secret.endpoint_id)
            .or_insert_with(|| Ok(Vec::new()));
        match (of_owner, opened) {
            (Ok(list), Ok(secret)) => list.push(secret),
            (of_owner @ Ok(_), Err(error)) => *of_owner = Err(error),
            (Err(_), _) => {}
        }
    }
    secrets
}

fn take(secrets: &mut HashMap<String, Secrets>, owner: &str) -> Secrets {
    secrets.remove(owner).unwrap_or_else(|| Ok(Vec::new()))
}
