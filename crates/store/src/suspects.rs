//! Notes on events that were handed out again, taken while they are worked on.
//!
//! Called by fan-out. A note that nobody has removed means that the worker died with the event in
//! its hands. No tenant here: the message need not be one that can be read.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

/// What tells one message from others.
pub type Fingerprint = [u8; 32];

/// Enough to be told from few, and far below what the column can hold.
const MOST_NOTES: i16 = 1_000;

impl Store {
    /// How many notes these messages have; those without one are left out.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn suspects(
        &self,
        messages: &[Fingerprint],
    ) -> Result<HashMap<Fingerprint, u16>, StoreError> {
        let messages = slices(messages);
        let rows: Vec<(Vec<u8>, i16)> = self
            .run("read suspects", async |db| {
                let sql = "SELECT fingerprint, notes FROM suspects WHERE fingerprint = ANY($1)";
                sqlx::query_as(sql).bind(messages).fetch_all(&mut *db).await
            })
            .await?;
        let noted = |(message, notes): (Vec<u8>, i16)| {
            let message = Fingerprint::try_from(message).ok()?;
            Some((message, notes.unsigned_abs()))
        };
        Ok(rows.into_iter().filter_map(noted).collect())
    }

    /// Notes that these messages are being worked on.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn note_suspects(
        &self,
        messages: &[Fingerprint],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let sql = "
            INSERT INTO suspects AS s (fingerprint, notes, noted_at)
            SELECT DISTINCT message, 1, $2 FROM unnest($1::bytea[]) AS message ORDER BY message
            ON CONFLICT (fingerprint) DO UPDATE
                SET notes = least(s.notes + 1, $3), noted_at = excluded.noted_at";
        let messages = slices(messages);
        self.run("note suspects", async |db| {
            sqlx::query(sql)
                .bind(messages)
                .bind(now)
                .bind(MOST_NOTES)
                .execute(&mut *db)
                .await
        })
        .await
        .map(drop)
    }

    /// Removes the notes on messages: they have done no harm, or are parked.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn clear_suspects(&self, messages: &[Fingerprint]) -> Result<(), StoreError> {
        let messages = slices(messages);
        self.run("clear suspects", async |db| {
            sqlx::query("DELETE FROM suspects WHERE fingerprint = ANY($1)")
                .bind(messages)
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

fn slices(messages: &[Fingerprint]) -> Vec<&[u8]> {
    messages.iter().map(<[u8; 32]>::as_slice).collect()
}
