//! Reading events. They are written by fan-out only ([`Store::insert_fanout`]).

use bytes::Bytes;
use chrono::{DateTime, Utc};
use signpost_domain::{EventId, EventType, TenantId};
use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use crate::{
    Page, PageRequest, Store, StoreError,
    page::{SEARCH_EFFORT, time_cursor},
    row::{bytes, parsed},
};

/// An event without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHeadline {
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// When Signpost stored it.
    pub created_at: DateTime<Utc>,
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// What it is.
    pub headline: EventHeadline,
    /// Its data, byte for byte as it was published; `None` once its retention is over.
    pub data: Option<Bytes>,
    /// The publisher's trace context.
    pub traceparent: Option<String>,
}

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this type.
    pub event_type: Option<EventType>,
    /// Stored at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Stored before this time.
    pub until: Option<DateTime<Utc>>,
}

impl Store {
    /// The event, or `None`.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn find_event(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let sql = "
            SELECT id, type, occurred_at, created_at, data::text AS data, traceparent
            FROM events WHERE tenant = $1 AND id = $2";
        self.run("read an event", async |db| {
            let query = sqlx::query(sql).bind(tenant.as_str()).bind(id.as_str());
            let event = query.try_map(|row: PgRow| {
                Ok(StoredEvent {
                    headline: headline(&row)?,
                    data: bytes(&row, "data")?,
                    traceparent: row.try_get("traceparent")?,
                })
            });
            event.fetch_optional(&mut *db).await
        })
        .await
    }

    /// The tenant's events, newest first. A search for a rare type may give short or even empty
    /// pages with a cursor: each page's effort is bounded.
    ///
    /// # Errors
    /// A bad cursor, or the database cannot be reached.
    pub async fn list_events(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        page: &PageRequest,
    ) -> Result<Page<EventHeadline>, StoreError> {
        let before = page.after_time()?;
        let within = |query: &mut QueryBuilder<Postgres>| {
            query
                .push(" FROM events WHERE tenant = ")
                .push_bind(tenant.as_str().to_owned());
            if let Some(since) = filter.since {
                query.push(" AND created_at >= ").push_bind(since);
            }
            if let Some(until) = filter.until {
                query.push(" AND created_at < ").push_bind(until);
            }
            if let Some((at, id)) = &before {
                query.push(" AND (created_at, id) < (").push_bind(*at);
                query.push(", ").push_bind(id.clone()).push(")");
            }
        };
        let newest_first = " ORDER BY created_at DESC, id DESC ";
        self.search("list events", async |db| {
            let mut query = QueryBuilder::new("SELECT id, type, occurred_at, created_at");
            within(&mut query);
            let mut examined_to = None;
            if let Some(event_type) = &filter.event_type {
                let mut end = QueryBuilder::new("SELECT created_at, id");
                within(&mut end);
                end.push(newest_first)
                    .push("OFFSET ")
                    .push_bind(SEARCH_EFFORT - 1)
                    .push(" LIMIT 1");
                let end: Option<(DateTime<Utc>, String)> =
                    end.build_query_as().fetch_optional(&mut *db).await?;
                if let Some((at, id)) = end {
                    query.push(" AND (created_at, id) >= (").push_bind(at);
                    query.push(", ").push_bind(id.clone()).push(")");
                    examined_to = Some(time_cursor(at, &id));
                }
                query
                    .push(" AND type = ")
                    .push_bind(event_type.as_str().to_owned());
            }
            query
                .push(newest_first)
                .push("LIMIT ")
                .push_bind(page.rows_wanted());
            let items = query
                .build()
                .try_map(|row| headline(&row))
                .fetch_all(&mut *db)
                .await?;
            Ok(Page::from_rows(items, page, examined_to, |event| {
                time_cursor(event.created_at, event.id.as_str())
            }))
        })
        .await
    }
}

fn headline(row: &PgRow) -> Result<EventHeadline, sqlx::Error> {
    Ok(EventHeadline {
        id: parsed(row, "id")?,
        event_type: parsed(row, "type")?,
        occurred_at: row.try_get("occurred_at")?,
        created_at: row.try_get("created_at")?,
    })
}
