//! Stores many event types at once, all or none.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signpost_domain::{EventType, Problem};
use signpost_store::EventTypeSettings;
use utoipa::ToSchema;

use super::model::{self, ValidationBody};
use crate::{
    app::App,
    door::Tenant,
    error::{ApiError, ApiResult},
    http::{Fields, JsonBody},
};

/// Most event types of one import.
const MAX_TYPES: usize = 1000;

/// A catalogue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `read` reads")]
pub struct CatalogBody {
    /// Its event types.
    #[schema(max_items = 1000)]
    event_types: Vec<CatalogItem>,
}

/// An event type of a catalogue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `read` reads")]
pub struct CatalogItem {
    /// The type.
    #[serde(rename = "type")]
    #[schema(
        example = "license.created",
        max_length = 128,
        pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
    )]
    event_type: String,
    /// Its name for people.
    #[schema(max_length = 200, example = "License created")]
    name: Option<String>,
    /// What it means.
    #[schema(max_length = 2000, example = "A customer has bought a license.")]
    description: Option<String>,
    /// A JSON Schema of its data.
    #[schema(value_type = Option<Object>, example = json!({"type": "object"}))]
    schema: Option<Value>,
    /// By default `off`.
    #[schema(value_type = Option<ValidationBody>)]
    validation: Option<String>,
}

/// How many event types were stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct Imported {
    /// The number of event types.
    #[schema(example = 12)]
    pub imported: usize,
}

/// Stores many event types at once, all or none
///
/// Files for the reference systems are in `deploy/catalogs`.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/event-types/import", tag = "Event types",
    params(("tenant" = String, Path, description = "The tenant", example = "acme")),
    request_body = CatalogBody,
    responses((status = 200, description = "What was stored", body = Imported))
)]
pub async fn handler(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    JsonBody(mut fields): JsonBody,
) -> ApiResult<Json<Imported>> {
    let types = read(&mut fields);
    fields.finish()?;
    if !app
        .store
        .put_event_types(&tenant, &types, app.clock.now())
        .await?
    {
        return Err(ApiError::not_found());
    }
    app.catalogs.forget(&tenant);
    Ok(Json(Imported {
        imported: types.len(),
    }))
}

fn read(fields: &mut Fields) -> Vec<EventTypeSettings> {
    let items = match fields.value("event_types") {
        Some(Value::Array(items)) if items.len() <= MAX_TYPES => items,
        Some(_) => {
            fields.problem(
                "event_types",
                format!("a list of at most {MAX_TYPES} event types"),
            );
            return Vec::new();
        }
        None => {
            fields.require("event_types", false);
            return Vec::new();
        }
    };
    let mut types = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let base = format!("/event_types/{index}");
        match read_item(item, &base) {
            Ok(settings) => types.push(settings),
            Err(problems) => drop(fields.check::<(), _>(Err(problems))),
        }
    }
    types
}

fn read_item(item: Value, base: &str) -> Result<EventTypeSettings, Vec<Problem>> {
    let mut fields = Fields::from_value(item, base).map_err(ApiError::into_problems)?;
    let event_type = fields.parsed("type", EventType::parse);
    fields.require("type", event_type.is_some());
    // A stand-in for a type that is wrong: the rest is checked all the same.
    let stand_in =
        || EventType::parse("event").map_err(|error| vec![Problem::new(base, error.to_string())]);
    let event_type = event_type.map_or_else(stand_in, Ok)?;
    let settings = model::read(&mut fields, event_type);
    fields.finish().map_err(ApiError::into_problems)?;
    Ok(settings)
}
