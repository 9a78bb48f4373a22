//! Deliveries with all that is needed to publish them again: to render the same body, and to
//! make the right attempt.
//!
//! Read by the dispatcher before it acts on a message that may be old (redelivered, or sent by
//! the reconciler), and by fan-out for an event that came again.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use signpost_domain::{
    DeliveryId, DeliveryStatus, EndpointId, EventId, EventType, TenantId, Trigger,
};
use sqlx::{Row as _, postgres::PgRow};

use crate::{
    Store, StoreError,
    row::{bytes, count, is_pending, parsed, word},
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

/// A message's wish to make an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptClaim {
    /// Whose delivery it is.
    pub tenant: TenantId,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The attempt's number.
    pub number: u32,
    /// The reconciler's lease under which it published the message: while the ledger has that one,
    /// the claim may take its place.
    pub instead_of: Option<DateTime<Utc>>,
    /// How long from now the attempt will have ended.
    pub lease: Duration,
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

/// How often an attempt is claimed without an outcome before it is taken for the reason that its
/// workers died. (A first attempt straight from fan-out is not claimed.)
pub const MAX_CLAIMS: u8 = 3;

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

    /// Claims attempts, so that of several messages for one attempt only one leads to a request.
    /// A time in the ledger that is still to come is somebody's lease. The answer has one result
    /// per claim, in the batch's order.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn claim_attempts(
        &self,
        batch: &[AttemptClaim],
        now: DateTime<Utc>,
    ) -> Result<Vec<Claim>, StoreError> {
        let sql = concat!(
            "UPDATE deliveries d SET next_attempt_at = item.lease_until, claims = d.claims + 1
            FROM unnest($1::text[], $2::text[], $3::int4[], $4::timestamptz[], $5::timestamptz[])
                WITH ORDINALITY
                AS item (tenant, id, number, instead_of, lease_until, position)
            WHERE d.tenant = item.tenant AND d.id = item.id AND ",
            is_pending!(),
            " AND d.claims < $7
                AND d.attempt_count - d.late_attempts < item.number
                AND (d.next_attempt_at <= $6 OR d.next_attempt_at = item.instead_of)
            RETURNING item.position"
        );
        let tenants: Vec<_> = batch.iter().map(|item| item.tenant.as_str()).collect();
        let ids: Vec<_> = batch.iter().map(|item| item.delivery_id.as_str()).collect();
        let number = |item: &AttemptClaim| i32::try_from(item.number).unwrap_or(i32::MAX);
        let numbers: Vec<_> = batch.iter().map(number).collect();
        let instead_of: Vec<_> = batch.iter().map(|item| item.instead_of).collect();
        let leases: Vec<_> = batch.iter().map(|item| now + item.lease).collect();
        let claimed: Vec<i64> = self
            .run("claim attempts", async |db| {
                sqlx::query_scalar(sql)
                    .bind(&tenants)
                    .bind(&ids)
                    .bind(&numbers)
                    .bind(&instead_of)
                    .bind(&leases)
                    .bind(now)
                    .bind(i16::from(MAX_CLAIMS))
                    .fetch_all(&mut *db)
                    .await
            })
            .await?;
        let mut claims = vec![None; batch.len()];
        for position in claimed {
            let slot = usize::try_from(position - 1).ok();
            if let Some(slot) = slot.and_then(|slot| claims.get_mut(slot)) {
                *slot = Some(Claim::Ours);
            }
        }
        let mut answers = Vec::with_capacity(batch.len());
        for (item, claim) in batch.iter().zip(claims) {
            answers.push(match claim {
                Some(claim) => claim,
                None => self.why_not(item, now).await?,
            });
        }
        Ok(answers)
    }

    /// Why an attempt could not be claimed.
    async fn why_not(&self, item: &AttemptClaim, now: DateTime<Utc>) -> Result<Claim, StoreError> {
        let state = self
            .load_delivery_state(&item.tenant, &item.delivery_id)
            .await?;
        // Without a row its tenant was erased: there is nothing to send.
        let Some(state) = state.filter(|state| {
            state.status == DeliveryStatus::Pending && state.next_number <= item.number
        }) else {
            return Ok(Claim::Over);
        };
        let is_worn_out = state.claims >= u32::from(MAX_CLAIMS);
        Ok(match state.next_attempt_at {
            Some(at) if is_worn_out && (at <= now || item.instead_of == Some(at)) => Claim::Poison,
            Some(at) => Claim::NotBefore(at),
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
            WHERE d.tenant = $1 AND d.event_id = $2 AND ",
            is_pending!(),
            " ORDER BY d.id"
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
