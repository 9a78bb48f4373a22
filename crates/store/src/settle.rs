//! The second hot path: the attempts that have been made, and where their deliveries stand now.
//!
//! Called by the dispatcher's recorder with everything that ended since its last call: one
//! statement, one commit for all of it. An attempt that is handed in must always end up as a row,
//! but it must never change a delivery that another process has settled meanwhile (fencing).

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use signpost_domain::{DeliveryId, DeliveryStatus, Outcome, TenantId, Trigger};
use signpost_runtime::sabotaged;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::{Store, StoreError, fanout::Query};

/// An attempt that was made, with what follows from it.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Whose delivery it is.
    pub tenant: TenantId,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The attempt.
    pub attempt: NewAttempt,
    /// Where the delivery stands after it.
    pub next: NextState,
}

/// An attempt as it was made.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// Which attempt of the delivery the maker took it for. The ledger gives it another number
    /// if that one is taken.
    pub number: u32,
    /// Why it was made.
    pub trigger: Trigger,
    /// What it gave.
    pub outcome: Outcome,
    /// When the request left.
    pub requested_at: DateTime<Utc>,
    /// When the answer was there; `None` without one.
    pub responded_at: Option<DateTime<Utc>>,
    /// From the request to the answer or the failure, in milliseconds.
    pub duration_ms: u32,
    /// The request's headers, without secrets: a JSON object.
    pub request_headers: Box<RawValue>,
    /// The receiver's status code.
    pub status_code: Option<u16>,
    /// The answer's headers: a JSON object.
    pub response_headers: Option<Box<RawValue>>,
    /// The first 16 KiB of the answer's body.
    pub response_body: Option<Bytes>,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Why there is a next attempt, or why there is none, for a person.
    pub retry_reason: Option<String>,
}

/// Where a delivery stands after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextState {
    /// The receiver took it.
    Succeeded {
        /// When.
        finished_at: DateTime<Utc>,
    },
    /// No further attempt.
    Failed {
        /// When.
        finished_at: DateTime<Utc>,
        /// Why, for a person.
        reason: String,
    },
    /// Another attempt follows.
    Pending {
        /// When it is due.
        next_attempt_at: DateTime<Utc>,
        /// Retries used, this coming one included.
        retries_used: u32,
    },
}

/// What became of one settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The attempt is recorded and the delivery moved on. Also the answer to a second try of a
    /// settlement that went through the first time.
    Done {
        /// The attempt's number in the ledger.
        number: u32,
    },
    /// The attempt is recorded, but another process had settled it before or the delivery had
    /// ended: what should follow from it must not happen.
    Late {
        /// The attempt's number in the ledger.
        number: u32,
    },
    /// There is no such delivery any more.
    Gone,
}

/// The fence is `attempt_count - late_attempts < expected`: nobody has settled this attempt yet.
const SETTLE: &str = "
WITH moved AS (
    UPDATE deliveries d SET
        status = item.status,
        status_reason = item.status_reason,
        attempt_count = d.attempt_count + 1,
        claims = 0,
        retries_used = COALESCE(item.retries_used, d.retries_used),
        last_status_code = item.status_code,
        next_attempt_at = item.next_attempt_at,
        finished_at = item.finished_at
    FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::text[], $6::timestamptz[],
        $7::timestamptz[], $8::int4[], $9::text[], $10::int2[], $11::text[], $12::bytea[],
        $13::text[], $14::timestamptz[], $15::text[], $16::text[], $17::text[],
        $18::timestamptz[], $19::int4[], $20::timestamptz[]) WITH ORDINALITY
        AS item (tenant, delivery_id, expected, trigger, outcome, requested_at,
            responded_at, duration_ms, request_headers, status_code, response_headers, response_body,
            error, retry_at, retry_reason, status, status_reason,
            next_attempt_at, retries_used, finished_at, position)
    WHERE d.tenant = item.tenant AND d.id = item.delivery_id
        AND d.status IN ('pending', 'held')
        AND d.attempt_count - d.late_attempts < item.expected
    RETURNING d.attempt_count AS number, item.*
), stored AS (
    INSERT INTO attempts (tenant, delivery_id, number, trigger, outcome, requested_at,
        responded_at, duration_ms, request_headers, status_code, response_headers, response_body,
        error, next_attempt_at, retry_reason)
    SELECT tenant, delivery_id, number, trigger, outcome, requested_at,
        responded_at, duration_ms, request_headers::json, status_code, response_headers::json,
        response_body, error, retry_at, retry_reason
    FROM moved
)
SELECT position, number FROM moved";

const LOCK_DELIVERY: &str = "
SELECT 1 FROM deliveries WHERE tenant = $1 AND id = $2 FOR UPDATE";

const SAME_ATTEMPT: &str = "
SELECT number, is_late FROM attempts
WHERE tenant = $1 AND delivery_id = $2 AND requested_at = $3 ORDER BY number LIMIT 1";

const COUNT_LATE: &str = "
UPDATE deliveries SET attempt_count = attempt_count + 1, late_attempts = late_attempts + 1
WHERE tenant = $1 AND id = $2 RETURNING attempt_count";

const INSERT_LATE: &str = "
INSERT INTO attempts (tenant, delivery_id, number, is_late, trigger, outcome, requested_at,
    responded_at, duration_ms, request_headers, status_code, response_headers, response_body,
    error, retry_reason)
VALUES ($1, $2, $3, true, $4, $5, $6, $7, $8, $9::json, $10, $11::json, $12, $13,
    'came after another process had settled this attempt: it changes nothing')";

impl Store {
    /// Records attempts and moves their deliveries on. The answer has one result per settlement,
    /// in the batch's order. After an error the same batch may be handed in again: what went
    /// through the first time is recognised by the time its request left.
    ///
    /// # Errors
    /// Transient: some of the batch may be recorded, try all of it again. Otherwise one of the
    /// attempts cannot be stored: try them one by one to find it.
    pub async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        let columns = Columns::of(batch);
        self.run("record attempts", async |db| {
            let mut results = vec![None; batch.len()];
            for row in columns
                .bind(sqlx::query(SETTLE))
                .fetch_all(&mut *db)
                .await?
            {
                let position: i64 = row.try_get(0)?;
                let slot = usize::try_from(position - 1)
                    .ok()
                    .and_then(|n| results.get_mut(n));
                if let Some(slot) = slot {
                    *slot = Some(Settled::Done {
                        number: to_number(row.try_get(1)?),
                    });
                }
            }
            if sabotaged("attempt-row-dropped") {
                let dropped = sqlx::query("DELETE FROM attempts WHERE status_code >= 500");
                dropped.execute(&mut *db).await?;
            }
            let mut settled = Vec::with_capacity(batch.len());
            for (item, result) in batch.iter().zip(results) {
                settled.push(match result {
                    Some(done) => done,
                    None => settle_skipped(db, item).await?,
                });
            }
            Ok(settled)
        })
        .await
    }
}

/// Settles what the fence held back, or what came twice in one batch. With the delivery locked,
/// what other processes have committed is seen.
async fn settle_skipped(db: &mut PgConnection, item: &Settlement) -> Result<Settled, sqlx::Error> {
    let attempt = &item.attempt;
    let (tenant, delivery) = (item.tenant.as_str(), item.delivery_id.as_str());
    let mut tx = db.begin().await?;
    let locked = sqlx::query(LOCK_DELIVERY).bind(tenant).bind(delivery);
    if locked.fetch_optional(&mut *tx).await?.is_none() {
        return Ok(Settled::Gone);
    }
    let same = sqlx::query_as(SAME_ATTEMPT)
        .bind(tenant)
        .bind(delivery)
        .bind(attempt.requested_at);
    if let Some((number, is_late)) = same.fetch_optional(&mut *tx).await? {
        let number = to_number(number);
        return Ok(if is_late {
            Settled::Late { number }
        } else {
            Settled::Done { number }
        });
    }
    let again = Columns::of(std::slice::from_ref(item)).bind(sqlx::query(SETTLE));
    let settled = if let Some(row) = again.fetch_optional(&mut *tx).await? {
        Settled::Done {
            number: to_number(row.try_get(1)?),
        }
    } else {
        let number: i32 = sqlx::query_scalar(COUNT_LATE)
            .bind(tenant)
            .bind(delivery)
            .fetch_one(&mut *tx)
            .await?;
        sqlx::query(INSERT_LATE)
            .bind(tenant)
            .bind(delivery)
            .bind(number)
            .bind(attempt.trigger.as_str())
            .bind(attempt.outcome.as_str())
            .bind(attempt.requested_at)
            .bind(attempt.responded_at)
            .bind(to_i32(attempt.duration_ms))
            .bind(attempt.request_headers.get())
            .bind(
                attempt
                    .status_code
                    .and_then(|code| i16::try_from(code).ok()),
            )
            .bind(attempt.response_headers.as_deref().map(RawValue::get))
            .bind(attempt.response_body.as_deref())
            .bind(attempt.error.as_deref().map(without_nul))
            .execute(&mut *tx)
            .await?;
        Settled::Late {
            number: to_number(number),
        }
    };
    tx.commit().await?;
    Ok(settled)
}

/// The batch turned on its side: one array per column.
#[derive(Default)]
struct Columns<'a> {
    tenant: Vec<&'a str>,
    delivery_id: Vec<&'a str>,
    expected: Vec<i32>,
    trigger: Vec<&'static str>,
    outcome: Vec<&'static str>,
    requested_at: Vec<DateTime<Utc>>,
    responded_at: Vec<Option<DateTime<Utc>>>,
    duration_ms: Vec<i32>,
    request_headers: Vec<&'a str>,
    status_code: Vec<Option<i16>>,
    response_headers: Vec<Option<&'a str>>,
    response_body: Vec<Option<&'a [u8]>>,
    error: Vec<Option<Cow<'a, str>>>,
    retry_at: Vec<Option<DateTime<Utc>>>,
    retry_reason: Vec<Option<Cow<'a, str>>>,
    status: Vec<&'static str>,
    status_reason: Vec<Option<Cow<'a, str>>>,
    next_attempt_at: Vec<Option<DateTime<Utc>>>,
    retries_used: Vec<Option<i32>>,
    finished_at: Vec<Option<DateTime<Utc>>>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a [Settlement]) -> Self {
        let mut columns = Self::default();
        for Settlement {
            tenant,
            delivery_id,
            attempt,
            next,
        } in batch
        {
            let (status, reason, next_attempt_at, retries_used, finished_at) = match next {
                NextState::Succeeded { finished_at } => (
                    DeliveryStatus::Succeeded,
                    None,
                    None,
                    None,
                    Some(*finished_at),
                ),
                NextState::Failed {
                    finished_at,
                    reason,
                } => {
                    let reason = Some(without_nul(reason));
                    (
                        DeliveryStatus::Failed,
                        reason,
                        None,
                        None,
                        Some(*finished_at),
                    )
                }
                NextState::Pending {
                    next_attempt_at,
                    retries_used,
                } => {
                    let used = Some(to_i32(*retries_used));
                    (
                        DeliveryStatus::Pending,
                        None,
                        Some(*next_attempt_at),
                        used,
                        None,
                    )
                }
            };
            columns.tenant.push(tenant.as_str());
            columns.delivery_id.push(delivery_id.as_str());
            columns.expected.push(if sabotaged("no-fencing") {
                i32::MAX
            } else {
                to_i32(attempt.number)
            });
            columns.trigger.push(attempt.trigger.as_str());
            columns.outcome.push(attempt.outcome.as_str());
            columns.requested_at.push(attempt.requested_at);
            columns.responded_at.push(attempt.responded_at);
            columns.duration_ms.push(to_i32(attempt.duration_ms));
            columns.request_headers.push(attempt.request_headers.get());
            columns.status_code.push(
                attempt
                    .status_code
                    .and_then(|code| i16::try_from(code).ok()),
            );
            columns
                .response_headers
                .push(attempt.response_headers.as_deref().map(RawValue::get));
            columns.response_body.push(attempt.response_body.as_deref());
            columns
                .error
                .push(attempt.error.as_deref().map(without_nul));
            columns.retry_at.push(attempt.next_attempt_at);
            columns
                .retry_reason
                .push(attempt.retry_reason.as_deref().map(without_nul));
            columns.status.push(status.as_str());
            columns.status_reason.push(reason);
            columns.next_attempt_at.push(next_attempt_at);
            columns.retries_used.push(retries_used);
            columns.finished_at.push(finished_at);
        }
        columns
    }

    fn bind(self, query: Query<'a>) -> Query<'a> {
        query
            .bind(self.tenant)
            .bind(self.delivery_id)
            .bind(self.expected)
            .bind(self.trigger)
            .bind(self.outcome)
            .bind(self.requested_at)
            .bind(self.responded_at)
            .bind(self.duration_ms)
            .bind(self.request_headers)
            .bind(self.status_code)
            .bind(self.response_headers)
            .bind(self.response_body)
            .bind(self.error)
            .bind(self.retry_at)
            .bind(self.retry_reason)
            .bind(self.status)
            .bind(self.status_reason)
            .bind(self.next_attempt_at)
            .bind(self.retries_used)
            .bind(self.finished_at)
    }
}

/// PostgreSQL's text cannot hold NUL, and a receiver may have sent one.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn to_i32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn to_number(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
