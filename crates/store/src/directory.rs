//! What the dispatchers keep in memory of a tenant, read in one go.
//!
//! The dispatcher's directory loads a tenant when its first event comes, and again when its
//! version changes ([`crate::Listener`] tells, [`Store::tenant_versions`] checks).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use signpost_domain::TenantId;
use sqlx::postgres::PgRow;

use crate::{
    Endpoint, EventType, LiveSecret, Store, StoreError, StoredProfile,
    endpoints::{endpoint, endpoint_columns},
    event_types::{event_type, event_type_columns},
    keyring::SecretError,
    profiles::{profile_columns, stored_profile},
    row::parsed,
    secrets::SealedSecret,
};

/// The secrets that sign, newest first; or why one of them does not open. Requests that cannot
/// be signed must wait, and nobody else's with them.
pub type Secrets = Result<Vec<LiveSecret>, SecretError>;

/// A tenant as the dispatchers need it.
#[derive(Debug, Clone)]
pub struct TenantDirectory {
    /// The tenant.
    pub tenant: TenantId,
    /// Differs from every other version there ever was; the contents are at least as new.
    pub version: i64,
    /// The tenant's own secrets.
    pub secrets: Secrets,
    /// Its endpoints that are not deleted.
    pub endpoints: Vec<DirectoryEndpoint>,
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
    /// Everything of a tenant; `None` if there is no such tenant. Secrets that have expired at
    /// `now` are left out; those that will expire say when.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn load_tenant(
        &self,
        tenant: &TenantId,
        now: DateTime<Utc>,
    ) -> Result<Option<TenantDirectory>, StoreError> {
        let version = "SELECT version FROM tenants WHERE id = $1 AND erasing_since IS NULL";
        let endpoints = concat!(
            "SELECT ",
            endpoint_columns!(),
            " FROM endpoints WHERE tenant = $1 AND deleted_at IS NULL ORDER BY id"
        );
        let secrets = "
            SELECT endpoint_id, id, version, ciphertext, created_at, expires_at FROM secrets
            WHERE tenant = $1 AND (expires_at IS NULL OR expires_at > $2)
            ORDER BY endpoint_id, version DESC";
        let event_types = concat!(
            "SELECT ",
            event_type_columns!(),
            " FROM event_types WHERE tenant = $1"
        );
        let id = tenant.as_str();
        let loaded = self
            .run("load a tenant", async |db| {
                // The version first: what is read after it is at least as new, and a change in
                // between brings a newer version and with it another load.
                let version = sqlx::query_scalar(version)
                    .bind(id)
                    .fetch_optional(&mut *db)
                    .await?;
                let Some(version) = version else {
                    return Ok(None);
                };
                let endpoints = sqlx::query(endpoints)
                    .bind(id)
                    .try_map(|row| endpoint(&row));
                let endpoints = endpoints.fetch_all(&mut *db).await?;
                let secrets = sqlx::query(secrets).bind(id).bind(now);
                let secrets = secrets.try_map(|row| SealedSecret::from_row(&row));
                let secrets = secrets.fetch_all(&mut *db).await?;
                let event_types = sqlx::query(event_types)
                    .bind(id)
                    .try_map(|row| event_type(&row));
                let event_types = event_types.fetch_all(&mut *db).await?;
                Ok(Some((version, endpoints, secrets, event_types)))
            })
            .await?;
        let Some((version, endpoints, sealed, event_types)) = loaded else {
            return Ok(None);
        };

        let mut secrets: HashMap<String, Secrets> = HashMap::new();
        for secret in sealed {
            let opened = secret.open(self.keys(), id);
            let of_owner = secrets
                .entry(secret.endpoint_id)
                .or_insert_with(|| Ok(Vec::new()));
            match (of_owner, opened) {
                (Ok(list), Ok(secret)) => list.push(secret),
                (of_owner @ Ok(_), Err(error)) => *of_owner = Err(error),
                (Err(_), _) => {}
            }
        }
        let mut take = |owner: &str| secrets.remove(owner).unwrap_or_else(|| Ok(Vec::new()));
        Ok(Some(TenantDirectory {
            tenant: tenant.clone(),
            version,
            secrets: take(""),
            endpoints: endpoints
                .into_iter()
                .map(|endpoint| DirectoryEndpoint {
                    secrets: take(endpoint.id.as_str()),
                    endpoint,
                })
                .collect(),
            event_types,
        }))
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
