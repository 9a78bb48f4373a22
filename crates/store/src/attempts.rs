//! Reading attempts. They are written by settling only ([`Store::settle`]).

use chrono::{DateTime, Utc};
use serde_json::Value;
use signpost_domain::{DeliveryId, Outcome, TenantId, Trigger};
use sqlx::{Row as _, postgres::PgRow, types::Json};

use crate::{
    Store, StoreError,
    row::{count, status_code, word},
};

/// A recorded attempt. The request's body is not kept: it is the same on every attempt, and is
/// rendered again from the event.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// From 1 up, without gaps.
    pub number: u32,
    /// Whether another process had settled the delivery's attempt before this one came.
    pub is_late: bool,
    /// Why it was made.
    pub trigger: Trigger,
    /// What it gave.
    pub outcome: Outcome,
    /// When the request left.
    pub requested_at: DateTime<Utc>,
    /// When the answer was there.
    pub responded_at: Option<DateTime<Utc>>,
    /// From the request to the answer or the failure.
    pub duration_ms: u32,
    /// The request's headers.
    pub request_headers: Value,
    /// The receiver's status code.
    pub status_code: Option<u16>,
    /// The answer's headers.
    pub response_headers: Option<Value>,
    /// The first 16 KiB of the answer's body; `None` without one, or once its retention is over.
    pub response_body: Option<Vec<u8>>,
    /// What went wrong.
    pub error: Option<String>,
    /// When the next attempt was to follow.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Why there was a next attempt, or why none.
    pub retry_reason: Option<String>,
}

impl Store {
    /// All attempts of a delivery, in their order. Empty if there is no such delivery.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn list_attempts(
        &self,
        tenant: &TenantId,
        delivery_id: &DeliveryId,
    ) -> Result<Vec<Attempt>, StoreError> {
        let sql = "
            SELECT number, is_late, trigger, outcome, requested_at, responded_at, duration_ms,
                request_headers, status_code, response_headers, response_body, error,
                next_attempt_at, retry_reason
            FROM attempts WHERE tenant = $1 AND delivery_id = $2 ORDER BY number";
        self.run("read a delivery's attempts", async |db| {
            let query = sqlx::query(sql)
                .bind(tenant.as_str())
                .bind(delivery_id.as_str());
            query.try_map(|row| attempt(&row)).fetch_all(&mut *db).await
        })
        .await
    }
}

fn attempt(row: &PgRow) -> Result<Attempt, sqlx::Error> {
    let Json(request_headers) = row.try_get("request_headers")?;
    let response_headers: Option<Json<Value>> = row.try_get("response_headers")?;
    Ok(Attempt {
        number: count(row, "number")?,
        is_late: row.try_get("is_late")?,
        trigger: word(row, "trigger", Trigger::parse)?,
        outcome: word(row, "outcome", Outcome::parse)?,
        requested_at: row.try_get("requested_at")?,
        responded_at: row.try_get("responded_at")?,
        duration_ms: count(row, "duration_ms")?,
        request_headers,
        status_code: status_code(row, "status_code")?,
        response_headers: response_headers.map(|Json(headers)| headers),
        response_body: row.try_get("response_body")?,
        error: row.try_get("error")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        retry_reason: row.try_get("retry_reason")?,
    })
}
