//! Reading deliveries. Fan-out and replay write them, settling and the reconciler move them on.
//!
//! Every list is one walk down one index, newest first, from the cursor on. Where a filter has
//! no index of its own the walk is bounded ([`SEARCH_EFFORT`]): such a page may be short or even
//! empty although more follow, but it is never slow, however many deliveries there are.

use chrono::{DateTime, Utc};
use signpost_domain::{
    DeliveryId, DeliveryStatus, EndpointId, EventId, EventType, TenantId, Trigger,
};
use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use crate::{
    Page, PageRequest, Store, StoreError,
    page::{SCATTERED_SEARCH_EFFORT, SEARCH_EFFORT, highest_id_until, id_cursor, lowest_id_since},
    row::{count, parsed, status_code, word},
};

/// A delivery as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The event it brings.
    pub event_id: EventId,
    /// That event's type.
    pub event_type: EventType,
    /// Where it goes.
    pub endpoint_id: EndpointId,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Why it failed, is held or was discarded.
    pub status_reason: Option<String>,
    /// How many attempts were made.
    pub attempt_count: u32,
    /// Automatic retries since it was last started.
    pub retries_used: u32,
    /// The status code of the last attempt, if that got an answer.
    pub last_status_code: Option<u16>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When the next attempt is due; `None` unless pending.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it ended; `None` while pending or held.
    pub finished_at: Option<DateTime<Utc>>,
    /// The profile that its body is rendered with.
    pub profile: String,
    /// That profile's version; 0 for a built-in one.
    pub profile_version: i32,
    /// Why it was made, or made again.
    pub trigger: Trigger,
}

/// Which deliveries are wanted: those that fit all that is set.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// To this endpoint.
    pub endpoint_id: Option<EndpointId>,
    /// Of this event.
    pub event_id: Option<EventId>,
    /// Of this event type.
    pub event_type: Option<EventType>,
    /// With this status.
    pub status: Option<DeliveryStatus>,
    /// Made at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Made before this time.
    pub until: Option<DateTime<Utc>>,
}

impl DeliveryFilter {
    /// Whether the index that the walk takes gives exactly what is wanted.
    fn is_indexed(&self) -> bool {
        if self.event_id.is_some() {
            return true; // An event has few deliveries.
        }
        let status_is_indexed = match self.status {
            None
            | Some(DeliveryStatus::Failed | DeliveryStatus::Discarded | DeliveryStatus::Held) => {
                true
            }
            Some(DeliveryStatus::Pending | DeliveryStatus::Succeeded) => false,
        };
        status_is_indexed && self.event_type.is_none()
    }

    /// How many rows a page looks at where its walk gives more than what is wanted.
    fn search_effort(&self) -> i64 {
        if self.endpoint_id.is_some() {
            SCATTERED_SEARCH_EFFORT
        } else {
            SEARCH_EFFORT
        }
    }
}

/// The columns that [`Delivery`] is read from.
const SELECT: &str = "
    SELECT id, event_id, event_type, endpoint_id, status, status_reason, attempt_count,
        retries_used, last_status_code, created_at, next_attempt_at, finished_at, profile,
        profile_version, trigger";

impl Store {
    /// The delivery, or `None`.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn find_delivery(
        &self,
        tenant: &TenantId,
        id: &DeliveryId,
    ) -> Result<Option<Delivery>, StoreError> {
        self.run("read a delivery", async |db| {
            let mut query = QueryBuilder::<Postgres>::new(SELECT);
            query
                .push(" FROM deliveries WHERE tenant = ")
                .push_bind(tenant.as_str());
            query.push(" AND id = ").push_bind(id.as_str());
            query
                .build()
                .try_map(|row| delivery(&row))
                .fetch_optional(&mut *db)
                .await
        })
        .await
    }

    /// The tenant's deliveries that fit the filter, newest first.
    ///
    /// # Errors
    /// A bad cursor, or the database cannot be reached.
    pub async fn list_deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        let before = page.after_id()?;
        self.search("list deliveries", async |db| {
            let mut query = QueryBuilder::new(SELECT);
            push_walk(&mut query, tenant, filter, before.as_deref());
            let mut examined_to = None;
            if !filter.is_indexed() {
                let mut end = QueryBuilder::new("SELECT id");
                push_walk(&mut end, tenant, filter, before.as_deref());
                end.push(" ORDER BY id DESC OFFSET ")
                    .push_bind(filter.search_effort() - 1)
                    .push(" LIMIT 1");
                let end: Option<String> = end.build_query_scalar().fetch_optional(&mut *db).await?;
                if let Some(id) = end {
                    examined_to = Some(id_cursor(&id));
                    query.push(" AND id >= ").push_bind(id);
                }
            }
            push_rest(&mut query, filter);
            query
                .push(" ORDER BY id DESC LIMIT ")
                .push_bind(page.rows_wanted());
            let items = query
                .build()
                .try_map(|row| delivery(&row))
                .fetch_all(&mut *db)
                .await?;
            Ok(Page::from_rows(items, page, examined_to, |delivery| {
                id_cursor(delivery.id.as_str())
            }))
        })
        .await
    }
}

/// The conditions that the index answers.
fn push_walk(
    query: &mut QueryBuilder<Postgres>,
    tenant: &TenantId,
    filter: &DeliveryFilter,
    before: Option<&str>,
) {
    query
        .push(" FROM deliveries WHERE tenant = ")
        .push_bind(tenant.as_str().to_owned());
    if let Some(event_id) = &filter.event_id {
        query
            .push(" AND event_id = ")
            .push_bind(event_id.as_str().to_owned());
    }
    if let Some(endpoint_id) = &filter.endpoint_id {
        query
            .push(" AND endpoint_id = ")
            .push_bind(endpoint_id.as_str().to_owned());
    }
    if let Some(since) = filter.since {
        query.push(" AND id >= ").push_bind(lowest_id_since(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND id < ").push_bind(highest_id_until(until));
    }
    if let Some(before) = before {
        query.push(" AND id < ").push_bind(before.to_owned());
    }
    if let Some(status) = filter.status
        && filter.is_indexed()
    {
        // In the text, not as a parameter: the planner must see that a partial index fits.
        query.push(format_args!(" AND status = '{}'", status.as_str()));
    }
}

/// The conditions that only the row answers.
fn push_rest(query: &mut QueryBuilder<Postgres>, filter: &DeliveryFilter) {
    if let Some(event_type) = &filter.event_type {
        query
            .push(" AND event_type = ")
            .push_bind(event_type.as_str().to_owned());
    }
    if let Some(status) = filter.status
        && !filter.is_indexed()
    {
        // Not as a plain comparison: the planner would take the reconciler's index, which holds
        // what is due of all tenants, and read all of it.
        query
            .push(" AND coalesce(status, '') = ")
            .push_bind(status.as_str());
    }
    // The ids in the walk only say roughly when.
    if let Some(since) = filter.since {
        query.push(" AND created_at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        query.push(" AND created_at < ").push_bind(until);
    }
}

fn delivery(row: &PgRow) -> Result<Delivery, sqlx::Error> {
    Ok(Delivery {
        id: parsed(row, "id")?,
        event_id: parsed(row, "event_id")?,
        event_type: parsed(row, "event_type")?,
        endpoint_id: parsed(row, "endpoint_id")?,
        status: word(row, "status", DeliveryStatus::parse)?,
        status_reason: row.try_get("status_reason")?,
        attempt_count: count(row, "attempt_count")?,
        retries_used: count(row, "retries_used")?,
        last_status_code: status_code(row, "last_status_code")?,
        created_at: row.try_get("created_at")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        finished_at: row.try_get("finished_at")?,
        profile: row.try_get("profile")?,
        profile_version: row.try_get("profile_version")?,
        trigger: word(row, "trigger", Trigger::parse)?,
    })
}
