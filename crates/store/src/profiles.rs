//! Custom wire profiles. A version is never changed: a delivery names the one that its body was
//! rendered with, and must give the same bytes again. The built-in profiles are not here.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Connection as _, Row as _, postgres::PgRow, types::Json};

use crate::{Store, StoreError};

/// A version of a custom profile.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProfile {
    /// The name that endpoints give.
    pub name: String,
    /// From 1 up.
    pub version: i32,
    /// The profile, as `wire` reads it.
    pub document: Value,
    /// When this version was stored.
    pub created_at: DateTime<Utc>,
}

/// What came of deleting a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileDeletion {
    /// It is gone; deliveries that were rendered with it still find it.
    Deleted,
    /// This many endpoints use it: nothing was changed.
    InUse(u64),
    /// There is no such profile.
    Missing,
}

/// The columns that [`StoredProfile`] is read from.
macro_rules! profile_columns {
    () => {
        "name, version, document, created_at"
    };
}
pub(crate) use profile_columns;

impl Store {
    /// Stores a new version of a profile, unless it says what the newest one says already.
    /// Answers the version that holds now.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn put_profile(
        &self,
        name: &str,
        document: &Value,
        now: DateTime<Utc>,
    ) -> Result<StoredProfile, StoreError> {
        let newest = concat!(
            "SELECT ",
            profile_columns!(),
            ", deleted_at FROM profiles WHERE name = $1 ORDER BY version DESC LIMIT 1"
        );
        let insert = concat!(
            "INSERT INTO profiles (name, version, document, created_at) VALUES ($1, $2, $3::json, $4)
            RETURNING ",
            profile_columns!()
        );
        // As text: the order of a body's keys is the order of the bytes that are sent.
        let text = document.to_string();
        self.run("store a profile", async |db| {
            let mut tx = db.begin().await?;
            // One at a time, so that versions count up without a gap.
            sqlx::query("LOCK TABLE profiles IN SHARE ROW EXCLUSIVE MODE")
                .execute(&mut *tx)
                .await?;
            let mut version = 0;
            if let Some(row) = sqlx::query(newest)
                .bind(name)
                .fetch_optional(&mut *tx)
                .await?
            {
                let stored = stored_profile(&row)?;
                let deleted_at: Option<DateTime<Utc>> = row.try_get("deleted_at")?;
                let stored_text = stored.document.to_string();
                if deleted_at.is_none() && stored_text == text {
                    return Ok(stored);
                }
                version = stored.version;
            }
            let stored = sqlx::query(insert)
                .bind(name)
                .bind(version + 1)
                .bind(&text)
                .bind(now)
                .try_map(|row| stored_profile(&row))
                .fetch_one(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(stored)
        })
        .await
    }

    /// The newest version of a profile that is not deleted.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn find_profile(&self, name: &str) -> Result<Option<StoredProfile>, StoreError> {
        let sql = concat!(
            "SELECT ",
            profile_columns!(),
            " FROM profiles WHERE name = $1 AND deleted_at IS NULL ORDER BY version DESC LIMIT 1"
        );
        self.run("read a profile", async |db| {
            let query = sqlx::query(sql)
                .bind(name)
                .try_map(|row| stored_profile(&row));
            query.fetch_optional(&mut *db).await
        })
        .await
    }

    /// This very version, deleted or not: to render an old delivery again.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn find_profile_version(
        &self,
        name: &str,
        version: i32,
    ) -> Result<Option<StoredProfile>, StoreError> {
        let sql = concat!(
            "SELECT ",
            profile_columns!(),
            " FROM profiles WHERE name = $1 AND version = $2"
        );
        self.run("read a profile's version", async |db| {
            let query = sqlx::query(sql).bind(name).bind(version);
            query
                .try_map(|row| stored_profile(&row))
                .fetch_optional(&mut *db)
                .await
        })
        .await
    }

    /// Deletes a profile that no endpoint uses.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn delete_profile(
        &self,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<ProfileDeletion, StoreError> {
        let users = "SELECT count(*) FROM endpoints WHERE profile = $1 AND deleted_at IS NULL";
        let delete = "UPDATE profiles SET deleted_at = $2 WHERE name = $1 AND deleted_at IS NULL";
        self.run("delete a profile", async |db| {
            let mut tx = db.begin().await?;
            let users: i64 = sqlx::query_scalar(users)
                .bind(name)
                .fetch_one(&mut *tx)
                .await?;
            if users > 0 {
                return Ok(ProfileDeletion::InUse(users.unsigned_abs()));
            }
            let deleted = sqlx::query(delete)
                .bind(name)
                .bind(now)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(match deleted.rows_affected() {
                0 => ProfileDeletion::Missing,
                _ => ProfileDeletion::Deleted,
            })
        })
        .await
    }
}

pub(crate) fn stored_profile(row: &PgRow) -> Result<StoredProfile, sqlx::Error> {
    let Json(document) = row.try_get("document")?;
    Ok(StoredProfile {
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        document,
        created_at: row.try_get("created_at")?,
    })
}
