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
    /// In the order of their ids, which the index counts.
    endpoints: Vec<Arc<EndpointEntry>>,
    index: PatternIndex,
    schemas: HashMap<EventType, TypeSchema>,
}

impl TenantDirectory {
    /// A tenant without endpoints.
    pub fn new(version: i64, secrets: Secrets, schemas: HashMap<EventType, TypeSchema>) -> Self {
        Self {
            version,
            secrets,
            endpoints: Vec::new(),
            index: PatternIndex::default(),
            schemas,
        }
    }

    /// Adds an endpoint and what it wants. They come in the order of their ids.
    pub fn add(&mut self, entry: EndpointEntry, patterns: &[Pattern]) {
        debug_assert!(self.endpoints.last().is_none_or(|last| last.id < entry.id));
        // More would fit into no memory.
        let position = u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX);
        for pattern in patterns {
            self.index.add(pattern, position);
        }
        self.endpoints.push(Arc::new(entry));
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
