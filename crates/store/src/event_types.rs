//! The catalogue of a tenant's event types, with the schemas that their data should follow.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use signpost_domain::TenantId;
use sqlx::{Row as _, postgres::PgRow, types::Json};

use crate::{
    Page, PageRequest, Store, StoreError,
    page::id_cursor,
    row::{parsed, word},
};

/// What happens to an event whose data breaks its type's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validation {
    /// Nothing: it is not checked.
    Off,
    /// It is delivered, and counted.
    Warn,
    /// It is rejected.
    Reject,
}

impl Validation {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Off, Self::Warn, Self::Reject];

    /// The word used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Reject => "reject",
        }
    }

    /// The value that `text` names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|validation| validation.as_str() == text)
    }
}

/// What a user says of an event type.
#[derive(Debug, Clone, PartialEq)]
pub struct EventTypeSettings {
    /// The type itself: `license.created`.
    pub event_type: signpost_domain::EventType,
    /// Its name for people.
    pub name: Option<String>,
    /// What it means.
    pub description: Option<String>,
    /// The JSON Schema of its data.
    pub schema: Option<Value>,
    /// What the schema is for.
    pub validation: Validation,
}

/// A stored event type.
#[derive(Debug, Clone, PartialEq)]
pub struct EventType {
    /// What the user said.
    pub settings: EventTypeSettings,
    /// When it was first stored.
    pub created_at: DateTime<Utc>,
    /// When it was last stored.
    pub updated_at: DateTime<Utc>,
}

/// The columns that [`EventType`] is read from.
macro_rules! event_type_columns {
    () => {
        "type, name, description, schema, validation, created_at, updated_at"
    };
}
pub(crate) use event_type_columns;

impl Store {
    /// Stores or replaces event types, all or none. `false` if the tenant does not exist.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn put_event_types(
        &self,
        tenant: &TenantId,
        types: &[EventTypeSettings],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        // The last of two entries for one type counts, as if they had been stored in turn.
        let by_type: BTreeMap<_, _> = types
            .iter()
            .map(|settings| (settings.event_type.as_str(), settings))
            .collect();
        let (names, settings): (Vec<_>, Vec<_>) = by_type.into_iter().unzip();
        let titles: Vec<_> = settings.iter().map(|s| s.name.as_deref()).collect();
        let texts: Vec<_> = settings.iter().map(|s| s.description.as_deref()).collect();
        let schemas: Vec<_> = settings
            .iter()
            .map(|s| s.schema.as_ref().map(Value::to_string))
            .collect();
        let validations: Vec<_> = settings.iter().map(|s| s.validation.as_str()).collect();
        let exists =
            "SELECT EXISTS (SELECT 1 FROM tenants WHERE id = $1 AND erasing_since IS NULL)";
        let insert = "
            INSERT INTO event_types
                (tenant, type, name, description, schema, validation, created_at, updated_at)
            SELECT $1, item.type, item.name, item.description, item.schema::json,
                item.validation, $2, $2
            FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
                AS item (type, name, description, schema, validation)
            ON CONFLICT (tenant, type) DO UPDATE SET name = excluded.name,
                description = excluded.description, schema = excluded.schema,
                validation = excluded.validation, updated_at = excluded.updated_at";
        self.run("store event types", async |db| {
            let query = sqlx::query_scalar(exists).bind(tenant.as_str());
            if !query.fetch_one(&mut *db).await? {
                return Ok(false);
            }
            sqlx::query(insert)
                .bind(tenant.as_str())
                .bind(now)
                .bind(names)
                .bind(titles)
                .bind(texts)
                .bind(schemas)
                .bind(validations)
                .execute(&mut *db)
                .await?;
            Ok(true)
        })
        .await
    }

    /// The event type, if the tenant has described it.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn find_event_type(
        &self,
        tenant: &TenantId,
        name: &signpost_domain::EventType,
    ) -> Result<Option<EventType>, StoreError> {
        let sql = concat!(
            "SELECT ",
            event_type_columns!(),
            " FROM event_types WHERE tenant = $1 AND type = $2"
        );
        self.run("read an event type", async |db| {
            let query = sqlx::query(sql).bind(tenant.as_str()).bind(name.as_str());
            query
                .try_map(|row| event_type(&row))
                .fetch_optional(&mut *db)
                .await
        })
        .await
    }

    /// The tenant's event types in alphabetical order.
    ///
    /// # Errors
    /// A bad cursor, or the database cannot be reached.
    pub async fn list_event_types(
        &self,
        tenant: &TenantId,
        page: &PageRequest,
    ) -> Result<Page<EventType>, StoreError> {
        let after = page.after_id()?.unwrap_or_default();
        let sql = concat!(
            "SELECT ",
            event_type_columns!(),
            " FROM event_types WHERE tenant = $1 AND type > $2 ORDER BY type LIMIT $3"
        );
        let items = self
            .run("list event types", async |db| {
                sqlx::query(sql)
                    .bind(tenant.as_str())
                    .bind(after)
                    .bind(page.rows_wanted())
                    .try_map(|row| event_type(&row))
                    .fetch_all(&mut *db)
                    .await
            })
            .await?;
        Ok(Page::from_rows(items, page, None, |item| {
            id_cursor(item.settings.event_type.as_str())
        }))
    }

    /// Removes an event type from the catalogue. `false` if it is not there.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn delete_event_type(
        &self,
        tenant: &TenantId,
        name: &signpost_domain::EventType,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM event_types WHERE tenant = $1 AND type = $2";
        self.run("delete an event type", async |db| {
            sqlx::query(sql)
                .bind(tenant.as_str())
                .bind(name.as_str())
                .execute(&mut *db)
                .await
        })
        .await
        .map(|done| done.rows_affected() > 0)
    }
}

pub(crate) fn event_type(row: &PgRow) -> Result<EventType, sqlx::Error> {
    let schema: Option<Json<Value>> = row.try_get("schema")?;
    Ok(EventType {
        settings: EventTypeSettings {
            event_type: parsed(row, "type")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            schema: schema.map(|Json(schema)| schema),
            validation: word(row, "validation", Validation::parse)?,
        },
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
