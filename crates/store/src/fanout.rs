//! The first hot path: new events and their deliveries, many at once.
//!
//! Called by the dispatcher's fan-out. One statement is one transaction is one round trip. It
//! must never insert a delivery of an event that was there already: that would send it twice.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use signpost_domain::{DeliveryId, DeliveryStatus, EndpointId, Event, EventId, TenantId, Trigger};
use sqlx::Row as _;

use crate::{Store, StoreError};

/// An event with the deliveries that follow from it.
#[derive(Debug, Clone)]
pub struct FanoutEvent {
    /// The event.
    pub event: Event,
    /// [`Event::content_hash`].
    pub content_hash: [u8; 32],
    /// The publisher's trace context (W3C Trace Context), passed on to receivers.
    pub traceparent: Option<String>,
    /// One per endpoint that matched.
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery to be inserted.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub endpoint_id: EndpointId,
    /// How it begins.
    pub state: InitialState,
    /// The profile that its body is rendered with.
    pub profile: String,
    /// That profile's version; 0 for a built-in one.
    pub profile_version: i32,
    /// Why its first attempt is made.
    pub trigger: Trigger,
}

/// How a delivery begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitialState {
    /// To be attempted.
    Pending {
        /// When the attempt is due, or until when somebody is making it (a lease).
        next_attempt_at: DateTime<Utc>,
    },
    /// Kept until the endpoint is active again.
    Held {
        /// Why, for a person.
        reason: String,
    },
    /// Never to be sent.
    Discarded {
        /// Why, for a person.
        reason: String,
    },
}

/// What became of one event of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanoutResult {
    /// It is new: it and its deliveries are stored.
    Inserted,
    /// The same event was there already (or comes earlier in this batch): nothing was stored.
    Repeat,
    /// Another event bears the same id: nothing was stored.
    IdReused,
}

const INSERT: &str = "
WITH new_event AS (
    INSERT INTO events
        (tenant, id, type, data, occurred_at, created_at, content_hash, traceparent)
    SELECT tenant, id, type, data::json, occurred_at, $1, content_hash, traceparent
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bytea[],
        $8::text[]) AS e (tenant, id, type, data, occurred_at, content_hash, traceparent)
    ON CONFLICT (tenant, id) DO NOTHING
    RETURNING tenant, id, type
), new_delivery AS (
    INSERT INTO deliveries (tenant, id, event_id, event_type, endpoint_id, status, status_reason,
        created_at, next_attempt_at, finished_at, profile, profile_version, trigger)
    SELECT d.tenant, d.id, d.event_id, e.type, d.endpoint_id, d.status, d.status_reason,
        $1, d.next_attempt_at, CASE d.status WHEN 'discarded' THEN $1 END,
        d.profile, d.profile_version, d.trigger
    FROM unnest($9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
        $15::timestamptz[], $16::text[], $17::int4[], $18::text[])
        AS d (tenant, event_id, id, endpoint_id, status, status_reason,
            next_attempt_at, profile, profile_version, trigger)
    JOIN new_event e ON e.tenant = d.tenant AND e.id = d.event_id
)
SELECT tenant, id FROM new_event";

const STORED_HASHES: &str = "
SELECT e.tenant, e.id, e.content_hash
FROM unnest($1::text[], $2::text[]) AS wanted (tenant, id)
JOIN events e ON e.tenant = wanted.tenant AND e.id = wanted.id";

impl Store {
    /// Stores new events with their deliveries, all or nothing. The answer has one result per
    /// event, in the batch's order. `now` is the time in the deliveries' ids, and stays the same when
    /// the batch is tried again: lists find times of creation by ids.
    ///
    /// # Errors
    /// Transient: nothing is known to be stored; the same batch may be tried again. Otherwise one
    /// of the events cannot be stored: try them one by one to find it.
    pub async fn insert_fanout(
        &self,
        now: DateTime<Utc>,
        batch: &[FanoutEvent],
    ) -> Result<Vec<FanoutResult>, StoreError> {
        // One id twice in a batch: the first one counts, as if they had come one by one.
        let mut first_at = HashMap::with_capacity(batch.len());
        for (index, item) in batch.iter().enumerate() {
            first_at.entry(key_of(item)).or_insert(index);
        }
        let first_of = |index: usize| first_at.get(&key_of(&batch[index])).copied();
        let mut firsts: Vec<_> = (0..batch.len())
            .filter(|&index| first_of(index) == Some(index))
            .collect();
        // Two dispatchers that insert the same events take them in the same order: no deadlock.
        firsts.sort_unstable_by_key(|&index| key_of(&batch[index]));
        let columns = Columns::of(firsts.iter().map(|&index| &batch[index]))?;

        self.run("insert events and their deliveries", async |db| {
            let mut is_new = vec![false; batch.len()];
            for row in columns.insert(now).fetch_all(&mut *db).await? {
                let key: Key<'_> = (row.try_get(0)?, row.try_get(1)?);
                first_at.get(&key).inspect(|&&index| is_new[index] = true);
            }
            let known: Vec<_> = firsts
                .iter()
                .copied()
                .filter(|&index| !is_new[index])
                .collect();
            let mut stored_hash = HashMap::with_capacity(known.len());
            if !known.is_empty() {
                let (tenants, ids): (Vec<_>, Vec<_>) =
                    known.iter().map(|&index| key_of(&batch[index])).unzip();
                let stored = sqlx::query(STORED_HASHES).bind(tenants).bind(ids);
                for row in stored.fetch_all(&mut *db).await? {
                    let key: Key<'_> = (row.try_get(0)?, row.try_get(1)?);
                    if let Some(&index) = first_at.get(&key) {
                        stored_hash.insert(index, row.try_get::<Vec<u8>, _>(2)?);
                    }
                }
            }
            let result = |index: usize| {
                let first = first_of(index).unwrap_or(index);
                let hash = &batch[index].content_hash;
                let is_same = if is_new[first] {
                    batch[first].content_hash == *hash
                } else {
                    // None: it was there, and retention has removed it since.
                    stored_hash
                        .get(&first)
                        .is_none_or(|stored| stored.as_slice() == hash)
                };
                match (is_new[first] && first == index, is_same) {
                    (true, _) => FanoutResult::Inserted,
                    (false, true) => FanoutResult::Repeat,
                    (false, false) => FanoutResult::IdReused,
                }
            };
            Ok((0..batch.len()).map(result).collect())
        })
        .await
    }
}

type Key<'a> = (&'a str, &'a str);

fn key_of(item: &FanoutEvent) -> Key<'_> {
    (item.event.tenant.as_str(), item.event.id.as_str())
}

/// The batch turned on its side: one array per column.
#[derive(Default)]
struct Columns<'a> {
    tenant: Vec<&'a str>,
    id: Vec<&'a str>,
    event_type: Vec<&'a str>,
    data: Vec<&'a str>,
    occurred_at: Vec<DateTime<Utc>>,
    content_hash: Vec<&'a [u8]>,
    traceparent: Vec<Option<&'a str>>,
    deliveries: DeliveryColumns<'a>,
}

impl<'a> Columns<'a> {
    fn of(items: impl Iterator<Item = &'a FanoutEvent>) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for item in items {
            let event = &item.event;
            let data =
                std::str::from_utf8(&event.data).map_err(|_invalid| StoreError::NotUtf8 {
                    event_id: event.id.to_string(),
                })?;
            columns.tenant.push(event.tenant.as_str());
            columns.id.push(event.id.as_str());
            columns.event_type.push(event.event_type.as_str());
            columns.data.push(data);
            columns.occurred_at.push(event.occurred_at);
            columns.content_hash.push(&item.content_hash);
            columns.traceparent.push(item.traceparent.as_deref());
            for delivery in &item.deliveries {
                columns.deliveries.push(&event.tenant, &event.id, delivery);
            }
        }
        Ok(columns)
    }

    fn insert(self, now: DateTime<Utc>) -> Query<'a> {
        let query = sqlx::query(INSERT)
            .bind(now)
            .bind(self.tenant)
            .bind(self.id)
            .bind(self.event_type)
            .bind(self.data)
            .bind(self.occurred_at)
            .bind(self.content_hash)
            .bind(self.traceparent);
        self.deliveries.bind(query)
    }
}

pub(crate) type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// New deliveries turned on their side: one array per column.
#[derive(Default)]
pub(crate) struct DeliveryColumns<'a> {
    tenant: Vec<&'a str>,
    event_id: Vec<&'a str>,
    id: Vec<&'a str>,
    endpoint_id: Vec<&'a str>,
    status: Vec<&'static str>,
    status_reason: Vec<Option<&'a str>>,
    next_attempt_at: Vec<Option<DateTime<Utc>>>,
    profile: Vec<&'a str>,
    profile_version: Vec<i32>,
    trigger: Vec<&'static str>,
}

impl<'a> DeliveryColumns<'a> {
    pub(crate) fn push(
        &mut self,
        tenant: &'a TenantId,
        event_id: &'a EventId,
        delivery: &'a NewDelivery,
    ) {
        let (status, reason, next_attempt_at) = match &delivery.state {
            InitialState::Pending { next_attempt_at } => {
                (DeliveryStatus::Pending, None, Some(*next_attempt_at))
            }
            InitialState::Held { reason } => (DeliveryStatus::Held, Some(reason.as_str()), None),
            InitialState::Discarded { reason } => {
                (DeliveryStatus::Discarded, Some(reason.as_str()), None)
            }
        };
        self.tenant.push(tenant.as_str());
        self.event_id.push(event_id.as_str());
        self.id.push(delivery.id.as_str());
        self.endpoint_id.push(delivery.endpoint_id.as_str());
        self.status.push(status.as_str());
        self.status_reason.push(reason);
        self.next_attempt_at.push(next_attempt_at);
        self.profile.push(&delivery.profile);
        self.profile_version.push(delivery.profile_version);
        self.trigger.push(delivery.trigger.as_str());
    }

    pub(crate) fn bind(self, query: Query<'a>) -> Query<'a> {
        query
            .bind(self.tenant)
            .bind(self.event_id)
            .bind(self.id)
            .bind(self.endpoint_id)
            .bind(self.status)
            .bind(self.status_reason)
            .bind(self.next_attempt_at)
            .bind(self.profile)
            .bind(self.profile_version)
            .bind(self.trigger)
    }
}
