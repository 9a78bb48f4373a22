//! One tenant's subscriptions, ready to be matched.

use std::{collections::HashMap, sync::Arc};

use signpost_domain::{EndpointId, Event, EventType, Pattern, Schema};

use super::{EndpointEntry, Secrets, index::PatternIndex};

/// The schema of an event type.
#[derive(Debug)]
pub struct TypeSchema {
    /// What its data should look like.
    pub schema: Schema,
    /// Whether an event whose data does not is rejected, or only reported.
    pub is_strict: bool,
}

/// A tenant as the dispatcher sees it.
#[derive(Debug)]
pub struct TenantDirectory {
    /// Grows with every change of the tenant, its endpoints or its secrets.
    pub version: i64,
    /// The tenant's own secrets, for profiles of scope `tenant`.
    pub secrets: Secrets,
    /// In the order of their ids.
    endpoints: Vec<Arc<EndpointEntry>>,
    index: PatternIndex,
    schemas: HashMap<EventType, TypeSchema>,
}

impl TenantDirectory {
    /// Puts endpoints and their patterns together.
    pub fn new(
        version: i64,
        secrets: Secrets,
        mut entries: Vec<(EndpointEntry, Vec<Pattern>)>,
    ) -> Self {
        entries.sort_unstable_by(|(one, _), (other, _)| one.id.cmp(&other.id));
        let mut index = PatternIndex::default();
        let mut endpoints = Vec::with_capacity(entries.len());
        for (position, (entry, patterns)) in (0_u32..).zip(entries) {
            for pattern in &patterns {
                index.add(pattern, position);
            }
            endpoints.push(Arc::new(entry));
        }
        Self {
            version,
            secrets,
            endpoints,
            index,
            schemas: HashMap::new(),
        }
    }

    /// The same tenant with these schemas.
    #[must_use]
    pub fn with_schemas(self, schemas: HashMap<EventType, TypeSchema>) -> Self {
        Self { schemas, ..self }
    }

    /// The schema that events of a type are checked by.
    pub fn schema(&self, event_type: &EventType) -> Option<&TypeSchema> {
        self.schemas.get(event_type)
    }

    /// An endpoint that is not deleted.
    pub fn endpoint(&self, id: &EndpointId) -> Option<&Arc<EndpointEntry>> {
        let found = self.endpoints.binary_search_by(|entry| entry.id.cmp(id));
        found.ok().and_then(|position| self.endpoints.get(position))
    }

    /// The endpoints that want the event. Its data is parsed only if one of them looks at it.
    pub fn matching(&self, event: &Event) -> Vec<&Arc<EndpointEntry>> {
        let mut parsed = None;
        let wants = |endpoint: &&Arc<EndpointEntry>| match &endpoint.filter {
            None => true,
            Some(filter) => filter.matches(parsed.get_or_insert_with(|| {
                // Checked when it arrived; numbers that serde_json cannot hold are the exception.
                serde_json::from_slice(&event.data).unwrap_or(serde_json::Value::Null)
            })),
        };
        let candidates = self.index.matching(&event.event_type);
        candidates
            .into_iter()
            .filter_map(|position| self.at(position))
            .filter(wants)
            .collect()
    }

    fn at(&self, position: u32) -> Option<&Arc<EndpointEntry>> {
        self.endpoints.get(usize::try_from(position).ok()?)
    }
}
