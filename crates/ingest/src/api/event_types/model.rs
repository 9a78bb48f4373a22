//! Event types as they look outside, and how they are read.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signpost_domain::{EventType, Schema};
use signpost_store::{EventTypeSettings, Validation};
use utoipa::ToSchema;

use crate::http::Fields;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 2000;
/// Largest schema as JSON text, in bytes.
const MAX_SCHEMA: usize = 64 * 1024;

/// An event type of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
pub struct EventTypeBody {
    /// The type.
    #[serde(rename = "type")]
    #[schema(example = "license.created")]
    pub event_type: String,
    /// Its name for people.
    #[schema(required, example = "License created")]
    pub name: Option<String>,
    /// What it means.
    #[schema(required, example = "A customer has bought a license.")]
    pub description: Option<String>,
    /// The JSON Schema of its data.
    #[schema(required, value_type = Option<Object>, example = json!({"type": "object"}))]
    pub schema: Option<Value>,
    /// What happens to data that does not fit the schema.
    #[schema(value_type = ValidationBody)]
    pub validation: &'static str,
    /// When it was first stored.
    pub created_at: DateTime<Utc>,
    /// When it was last stored.
    pub updated_at: DateTime<Utc>,
}

impl From<signpost_store::EventType> for EventTypeBody {
    fn from(stored: signpost_store::EventType) -> Self {
        let settings = stored.settings;
        Self {
            event_type: settings.event_type.to_string(),
            name: settings.name,
            description: settings.description,
            schema: settings.schema,
            validation: settings.validation.as_str(),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// What happens to data that does not fit its schema.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Validation)]
#[serde(rename_all = "snake_case")]
pub enum ValidationBody {
    /// It is not checked.
    Off,
    /// It is delivered, and counted.
    Warn,
    /// It is refused.
    Reject,
}

/// What can be said about an event type.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EventTypeSettings)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `read` reads")]
pub struct EventTypeFields {
    /// Its name for people.
    #[schema(max_length = 200, example = "License created")]
    name: Option<String>,
    /// What it means.
    #[schema(max_length = 2000, example = "A customer has bought a license.")]
    description: Option<String>,
    /// A JSON Schema of its data.
    #[schema(value_type = Option<Object>, example = json!({"type": "object", "required": ["license"]}))]
    schema: Option<Value>,
    /// By default `off`.
    #[schema(value_type = Option<ValidationBody>)]
    validation: Option<String>,
}

/// Reads the settings of `event_type`; problems are noted in `fields`.
pub(super) fn read(fields: &mut Fields, event_type: EventType) -> EventTypeSettings {
    let name = fields.text("name");
    if name.as_ref().is_some_and(|name| name.chars().count() > 200) {
        fields.problem("name", "at most 200 characters");
    }
    let description = fields.text("description");
    if description
        .as_ref()
        .is_some_and(|text| text.chars().count() > MAX_DESCRIPTION)
    {
        fields.problem(
            "description",
            format!("at most {MAX_DESCRIPTION} characters"),
        );
    }
    let document = fields.value("schema");
    if let Some(document) = &document {
        if document.to_string().len() > MAX_SCHEMA {
            fields.problem("schema", format!("at most {MAX_SCHEMA} bytes"));
        } else if !document.is_object() {
            fields.problem("schema", "a JSON Schema is an object");
        } else if let Err(error) = Schema::compile(document) {
            fields.problem("schema", error);
        }
    }
    let validation = fields.parsed("validation", |text| {
        Validation::parse(text).ok_or("write `off`, `warn` or `reject`")
    });
    let validation = validation.unwrap_or(Validation::Off);
    if validation != Validation::Off && document.is_none() {
        fields.problem(
            "validation",
            "without a schema there is nothing to check by",
        );
    }
    EventTypeSettings {
        event_type,
        name,
        description,
        schema: document,
        validation,
    }
}
