//! Notes on events that were handed out again, taken while they are worked on.
//!
//! Called by fan-out. A note that nobody has removed means that the worker died with the event in
//! its hands. No tenant here: the message need not be one that can be read.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

/// Enough to be told from few, and far below what the column can hold.
const MOST_NOTES: i16 = 1_000;

impl Store {
    /// Notes that the message with this fingerprint is being worked on. Answers how many notes it
    /// has now.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn note_suspect(
        &self,
        fingerprint: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Result<u16, StoreError> {
        let sql = "
            INSERT INTO suspects AS s (fingerprint, notes, noted_at) VALUES ($1, 1, $2)
            ON CONFLICT (fingerprint) DO UPDATE
                SET notes = least(s.notes + 1, $3), noted_at = excluded.noted_at
            RETURNING notes";
        let notes: i16 = self
            .run("note a suspect", async |db| {
                sqlx::query_scalar(sql)
                    .bind(fingerprint.as_slice())
                    .bind(now)
                    .bind(MOST_NOTES)
                    .fetch_one(&mut *db)
                    .await
            })
            .await?;
        Ok(notes.unsigned_abs())
    }

    /// Removes the notes on a message: it has done no harm, or it is parked.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn clear_suspect(&self, fingerprint: &[u8; 32]) -> Result<(), StoreError> {
        self.run("clear a suspect", async |db| {
            sqlx::query("DELETE FROM suspects WHERE fingerprint = $1")
                .bind(fingerprint.as_slice())
                .execute(&mut *db)
                .await
        })
        .await
        .map(drop)
    }

    /// Removes notes on messages that have not been seen since `before`.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn forget_suspects(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        self.run("forget suspects", async |db| {
            sqlx::query("DELETE FROM suspects WHERE noted_at < $1")
                .bind(before)
                .execute(&mut *db)
                .await
        })
        .await
        .map(drop)
    }
}
