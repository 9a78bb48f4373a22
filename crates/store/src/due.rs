//! Deliveries with all that is needed to publish them again: to render the same body, and to
//! make the right attempt.
//!
//! Read by the dispatcher before it acts on a message that may be old (redelivered, or sent by
//! the reconciler), and by fan-out for an event that came again.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use signpost_domain::{
    DeliveryId, DeliveryStatus, EndpointId, EventId, EventType, TenantId, Trigger,
};
use sqlx::{Row as _, postgres::PgRow};

use crate::{
    Store, StoreError,
    row::{bytes, count, parsed, word},
};

/// A delivery and its event.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// Whose it is.
    pub tenant: TenantId,
    /// The delivery.
    pub id: DeliveryId,
    /// The event to deliver.
    pub event_id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Its data; `None` when it is no longer kept, so that the delivery cannot be made.
    pub data: Option<Bytes>,
    /// Its trace context.
    pub traceparent: Option<String>,
    /// Where it goes.
    pub endpoint_id: EndpointId,
    /// The profile of the body.
    pub profile: String,
    /// The profile's version; 0 for a built-in one.
    pub profile_version: i32,
    /// Where the delivery stands.
    pub state: DeliveryState,
}

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryState {
    /// Its status.
    pub status: DeliveryStatus,
    /// How many attempts are recorded.
    pub attempt_count: u32,
    /// The number of the next attempt. Attempts that came too late to count are left out, so
    /// this is what the message of the next attempt carries.
    pub next_number: u32,
    /// Automatic retries since it was last started.
    pub retries_used: u32,
    /// Why the next attempt is made.
    pub trigger: Trigger,
    /// When it is due; `None` unless pending.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// How often the next attempt was claimed and came to nothing.
    pub claims: u32,
}

/// Whether an attempt may be made for a message that may be one of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is ours: nobody else gets it until the lease ends.
    Ours,
    /// Somebody may be making it, or it is due later: ask again then.
    NotBefore(DateTime<Utc>),
    /// It has been made, or is not wanted any more.
    Over,
    /// It has been begun [`MAX_CLAIMS`] times without an outcome: it kills whoever makes it.
    Poison,
}

/// How often an attempt is claimed before it is taken for the reason that its workers died. With
/// the first one, which was not claimed, three have.
pub const MAX_CLAIMS: u8 = 2;

/// The columns that [`DueDelivery`] is read from, of `deliveries d` and `events e`.
macro_rules! due_columns {
    () => {
        "d.tenant, d.id, d.event_id, d.event_type, d.endpoint_id, d.profile, d.profile_version,
        d.status, d.attempt_count, d.late_attempts, d.retries_used, d.trigger, d.next_attempt_at,
        d.claims,
        e.data::text AS data, e.traceparent, COALESCE(e.occurred_at, d.created_at) AS occurred_at"
    };
}
pub(crate) use due_columns;

impl Store {
    /// Where a delivery stands now; `None` if there is no such delivery.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn load_delivery_state(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
    ) -> Result<Option<DeliveryState>, StoreError> {
        let sql = "
            SELECT status, attempt_count, late_attempts, retries_used, trigger, next_attempt_at,
                claims
            FROM deliveries WHERE tenant = $1 AND id = $2";
        self.run("read a delivery's state", async |db| {
            let query = sqlx::query(sql).bind(tenant.as_str()).bind(id.as_str());
            query
                .try_map(|row| state(&row))
                .fetch_optional(&mut *db)
                .await
        })
        .await
    }

    /// Claims attempt `number` of a delivery until `lease_until`, so that of several messages for
    /// one attempt only one leads to a request. A time in the ledger that is still to come is
    /// somebody's lease; the reconciler's copies pass over it (`is_reconcilers`), since it is the
    /// reconciler's own.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn claim_attempt(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
        number: u32,
        is_reconcilers: bool,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
    ) -> Result<Claim, StoreError> {
        let sql = "
            UPDATE deliveries SET next_attempt_at = $6, claims = claims + 1
            WHERE tenant = $1 AND id = $2 AND status = 'pending' AND claims < $7
                AND attempt_count - late_attempts < $3 AND ($4 OR next_attempt_at <= $5)";
        let claimed = self
            .run("claim an attempt", async |db| {
                sqlx::query(sql)
                    .bind(tenant.as_str())
                    .bind(id.as_str())
                    .bind(i32::try_from(number).unwrap_or(i32::MAX))
                    .bind(is_reconcilers)
                    .bind(now)
                    .bind(lease_until)
                    .bind(i16::from(MAX_CLAIMS))
                    .execute(&mut *db)
                    .await
            })
            .await?;
        if claimed.rows_affected() > 0 {
            return Ok(Claim::Ours);
        }
        let state = self.load_delivery_state(tenant, id).await?;
        let open = state
            .filter(|state| state.status == DeliveryStatus::Pending && state.next_number <= number);
        let is_worn_out = open
            .as_ref()
            .is_some_and(|state| state.claims >= u32::from(MAX_CLAIMS));
        Ok(match open.and_then(|state| state.next_attempt_at) {
            Some(at) if is_worn_out && (is_reconcilers || at <= now) => Claim::Poison,
            Some(at) => Claim::NotBefore(at),
            // Without a row its tenant was erased: there is nothing to send.
            None => Claim::Over,
        })
    }

    /// All that is needed to publish a delivery again; `None` if there is no such delivery.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn load_for_publish(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
    ) -> Result<Option<DueDelivery>, StoreError> {
        let sql = concat!(
            "SELECT ",
            due_columns!(),
            " FROM deliveries d LEFT JOIN events e ON e.tenant = d.tenant AND e.id = d.event_id
            WHERE d.tenant = $1 AND d.id = $2"
        );
        self.run("read a delivery", async |db| {
            let query = sqlx::query(sql).bind(tenant.as_str()).bind(id.as_str());
            query
                .try_map(|row| due_delivery(&row))
                .fetch_optional(&mut *db)
                .await
        })
        .await
    }

    /// The pending deliveries of an event, for a message of it that came again: its fan-out may
    /// have been cut off before they were published.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn unfinished_deliveries(
        &self,
        tenant: &TenantId,
        event_id: &EventId,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let sql = concat!(
            "SELECT ",
            due_columns!(),
            " FROM deliveries d LEFT JOIN events e ON e.tenant = d.tenant AND e.id = d.event_id
            WHERE d.tenant = $1 AND d.event_id = $2 AND d.status = 'pending' ORDER BY d.id"
        );
        self.run("read an event's unfinished deliveries", async |db| {
            let query = sqlx::query(sql)
                .bind(tenant.as_str())
                .bind(event_id.as_str());
            query
                .try_map(|row| due_delivery(&row))
                .fetch_all(&mut *db)
                .await
        })
        .await
    }
}

pub(crate) fn due_delivery(row: &PgRow) -> Result<DueDelivery, sqlx::Error> {
    Ok(DueDelivery {
        tenant: parsed(row, "tenant")?,
        id: parsed(row, "id")?,
        event_id: parsed(row, "event_id")?,
        event_type: parsed(row, "event_type")?,
        occurred_at: row.try_get("occurred_at")?,
        data: bytes(row, "data")?,
        traceparent: row.try_get("traceparent")?,
        endpoint_id: parsed(row, "endpoint_id")?,
        profile: row.try_get("profile")?,
        profile_version: row.try_get("profile_version")?,
        state: state(row)?,
    })
}

fn state(row: &PgRow) -> Result<DeliveryState, sqlx::Error> {
    let attempt_count = count(row, "attempt_count")?;
    let late: i16 = row.try_get("late_attempts")?;
    Ok(DeliveryState {
        status: word(row, "status", DeliveryStatus::parse)?,
        attempt_count,
        next_number: attempt_count.saturating_sub(late.unsigned_abs().into()) + 1,
        retries_used: count(row, "retries_used")?,
        trigger: word(row, "trigger", Trigger::parse)?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        claims: u32::from(row.try_get::<i16, _>("claims")?.unsigned_abs()),
    })
}
