//! The newest probe that has gone the whole way: one row, which belongs to no tenant.
//!
//! Written by whichever dispatcher the probe came to, read by all of them.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

impl Store {
    /// Notes that the probe that was published at this time has arrived; a newer note stands.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn note_probe(&self, sent_at: DateTime<Utc>) -> Result<(), StoreError> {
        let sql = "
            INSERT INTO probe (sent_at) VALUES ($1)
            ON CONFLICT (is_the_row)
                DO UPDATE SET sent_at = greatest(probe.sent_at, EXCLUDED.sent_at)";
        self.run("note a probe", async |db| {
            sqlx::query(sql).bind(sent_at).execute(&mut *db).await
        })
        .await
        .map(drop)
    }

    /// When the newest probe that has arrived was published; `None` before the first one.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn newest_probe(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.run("read the newest probe", async |db| {
            sqlx::query_scalar("SELECT sent_at FROM probe WHERE is_the_row")
                .fetch_optional(&mut *db)
                .await
        })
        .await
    }
}
