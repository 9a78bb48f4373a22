//! The ledgers, findable by event and endpoint.

use std::collections::HashMap;

use crate::ledger::{AttemptRow, DeliveryRow, Hit, Ledgers, Published};

/// One delivery as everybody saw it.
#[derive(Debug, Default)]
pub(super) struct Seen<'a> {
    /// Rows; one is right.
    pub(super) rows: Vec<&'a DeliveryRow>,
    /// Requests, in the order of their arrival.
    pub(super) hits: Vec<&'a Hit>,
}

/// An event and an endpoint.
pub(super) type Key<'a> = (&'a str, usize);

/// Everything, findable.
pub(super) struct Index<'a> {
    pub(super) ledgers: &'a Ledgers,
    /// By id.
    pub(super) events: HashMap<&'a str, &'a Published>,
    pub(super) deliveries: HashMap<Key<'a>, Seen<'a>>,
    /// Rows that belong to no endpoint that we made.
    pub(super) stray_rows: Vec<&'a DeliveryRow>,
    attempts: HashMap<(&'a str, &'a str), Vec<&'a AttemptRow>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(ledgers: &'a Ledgers) -> Self {
        let endpoints: HashMap<_, _> = ledgers
            .endpoints
            .iter()
            .enumerate()
            .map(|(index, endpoint)| (endpoint.id.as_str(), index))
            .collect();
        let mut deliveries: HashMap<Key<'_>, Seen<'_>> = HashMap::new();
        let mut stray_rows = Vec::new();
        for row in &ledgers.deliveries {
            match endpoints.get(row.endpoint_id.as_str()) {
                Some(endpoint) => {
                    let key = (row.event_id.as_str(), *endpoint);
                    deliveries.entry(key).or_default().rows.push(row);
                }
                None => stray_rows.push(row),
            }
        }
        for hit in &ledgers.hits {
            if let Some(endpoint) = hit.endpoint {
                let key = (hit.event.as_str(), endpoint);
                deliveries.entry(key).or_default().hits.push(hit);
            }
        }
        for seen in deliveries.values_mut() {
            seen.hits.sort_by_key(|hit| hit.at);
        }
        let mut attempts: HashMap<_, Vec<_>> = HashMap::new();
        for row in &ledgers.attempts {
            let key = (row.tenant.as_str(), row.delivery_id.as_str());
            attempts.entry(key).or_default().push(row);
        }
        for rows in attempts.values_mut() {
            rows.sort_by_key(|row| row.number);
        }
        Self {
            ledgers,
            events: ledgers
                .events
                .iter()
                .map(|event| (event.id.as_str(), event))
                .collect(),
            deliveries,
            stray_rows,
            attempts,
        }
    }

    /// A delivery's attempts by number.
    pub(super) fn attempts(&self, row: &'a DeliveryRow) -> &[&'a AttemptRow] {
        self.attempts
            .get(&(row.tenant.as_str(), row.id.as_str()))
            .map_or(&[], Vec::as_slice)
    }

    /// Attempts of deliveries that are not there.
    pub(super) fn stray_attempts(&self) -> impl Iterator<Item = &'a AttemptRow> + '_ {
        let known: std::collections::HashSet<_> = self
            .ledgers
            .deliveries
            .iter()
            .map(|row| (row.tenant.as_str(), row.id.as_str()))
            .collect();
        self.ledgers
            .attempts
            .iter()
            .filter(move |row| !known.contains(&(row.tenant.as_str(), row.delivery_id.as_str())))
    }
}
