//! Lists and counts: every filter, no gap and no repeat from page to page.

use std::collections::HashSet;

use chrono::TimeDelta;
use signpost_domain::{DeliveryId, DeliveryStatus, EndpointId, EventId, TenantId};
use signpost_store::{DeliveryFilter, EventFilter, InitialState, Page, PageRequest, StoreError};

use crate::support::{
    Ledger, at, endpoint_id, event_type, failed, fanout_event, held, new_delivery, pending,
    succeeded, tenant,
};

/// Thirty deliveries, one a second, of three types to two endpoints, in every status.
struct Record {
    ledger: Ledger,
    acme: TenantId,
    endpoints: [EndpointId; 2],
    events: Vec<EventId>,
    deliveries: Vec<DeliveryId>,
}

async fn record() -> Record {
    let ledger = Ledger::new().await;
    let acme = tenant("acme");
    let endpoints = [endpoint_id(), endpoint_id()];
    let types = ["a.created", "a.changed", "b.created"];
    let (mut events, mut deliveries) = (Vec::new(), Vec::new());
    for n in 0..30 {
        let second = i64::try_from(n).unwrap();
        let mut item = fanout_event(&acme, types[n % 3], b"{}", at(second));
        let state = match n % 5 {
            3 => held(),
            4 => InitialState::Discarded {
                reason: "disabled".to_owned(),
            },
            _ => pending(at(second)),
        };
        item.deliveries
            .push(new_delivery(&endpoints[n % 2], state, at(second)));
        let id = item.deliveries[0].id.clone();
        events.push(item.event.id.clone());
        ledger
            .store
            .insert_fanout(at(second), &[item])
            .await
            .unwrap();
        let settlement = match n % 5 {
            1 => Some(succeeded(&acme, &id, 1, second)),
            2 => Some(failed(&acme, &id, 1, second)),
            _ => None,
        };
        ledger.store.settle(settlement.as_slice()).await.unwrap();
        deliveries.push(id);
    }
    Record {
        ledger,
        acme,
        endpoints,
        events,
        deliveries,
    }
}

impl Record {
    /// All pages of a filter, one after the other.
    async fn list(&self, filter: &DeliveryFilter, limit: u32) -> Vec<DeliveryId> {
        let mut found = Vec::new();
        let mut page = PageRequest::first(limit);
        loop {
            let answer = self
                .ledger
                .store
                .list_deliveries(&self.acme, filter, &page)
                .await
                .unwrap();
            assert!(answer.items.len() <= limit as usize);
            found.extend(answer.items.into_iter().map(|delivery| delivery.id));
            let Some(cursor) = answer.next_cursor else {
                return found;
            };
            page.cursor = Some(cursor);
        }
    }

    /// The deliveries whose number passes, newest first.
    fn expect(&self, passes: impl Fn(usize) -> bool) -> Vec<DeliveryId> {
        let numbered = self.deliveries.iter().enumerate().rev();
        numbered
            .filter(|(n, _)| passes(*n))
            .map(|(_, id)| id.clone())
            .collect()
    }
}

#[tokio::test]
async fn every_filter_of_deliveries_finds_what_fits_newest_first() {
    let record = record().await;
    let all = DeliveryFilter::default;
    for limit in [1, 7, 30, 250] {
        assert_eq!(record.list(&all(), limit).await, record.expect(|_| true));
    }
    for (remainder, status) in [
        (0, DeliveryStatus::Pending),
        (1, DeliveryStatus::Succeeded),
        (2, DeliveryStatus::Failed),
        (3, DeliveryStatus::Held),
        (4, DeliveryStatus::Discarded),
    ] {
        let filter = DeliveryFilter {
            status: Some(status),
            ..all()
        };
        let expected = record.expect(|n| n % 5 == remainder);
        assert_eq!(record.list(&filter, 2).await, expected, "{status}");
        let endpoint_id = Some(record.endpoints[0].clone());
        let filter = DeliveryFilter {
            status: Some(status),
            endpoint_id,
            ..all()
        };
        let expected = record.expect(|n| n % 5 == remainder && n % 2 == 0);
        assert_eq!(
            record.list(&filter, 2).await,
            expected,
            "{status} of an endpoint"
        );
    }
    let filter = DeliveryFilter {
        endpoint_id: Some(record.endpoints[1].clone()),
        ..all()
    };
    assert_eq!(record.list(&filter, 4).await, record.expect(|n| n % 2 == 1));
    let filter = DeliveryFilter {
        event_type: Some(event_type("a.changed")),
        ..all()
    };
    assert_eq!(record.list(&filter, 4).await, record.expect(|n| n % 3 == 1));
    let filter = DeliveryFilter {
        event_id: Some(record.events[17].clone()),
        ..all()
    };
    assert_eq!(record.list(&filter, 4).await, record.expect(|n| n == 17));
    let filter = DeliveryFilter {
        status: Some(DeliveryStatus::Failed),
        ..filter
    };
    assert_eq!(record.list(&filter, 4).await, record.expect(|n| n == 17));
    let filter = DeliveryFilter {
        event_type: Some(event_type("a.created")),
        ..filter
    };
    assert!(record.list(&filter, 4).await.is_empty());
    let within = DeliveryFilter {
        since: Some(at(10)),
        until: Some(at(20)),
        ..all()
    };
    assert_eq!(
        record.list(&within, 4).await,
        record.expect(|n| (10..20).contains(&n))
    );
    let everything = DeliveryFilter {
        endpoint_id: Some(record.endpoints[0].clone()),
        event_type: Some(event_type("a.created")),
        status: Some(DeliveryStatus::Failed),
        ..within
    };
    assert_eq!(
        record.list(&everything, 4).await,
        record.expect(|n| n == 12)
    );
}

#[tokio::test]
async fn pages_have_no_gaps_while_rows_are_inserted() {
    let record = record().await;
    let store = &record.ledger.store;
    let mut found = Vec::new();
    let mut page = PageRequest::first(4);
    for second in 100.. {
        let answer = store
            .list_deliveries(&record.acme, &DeliveryFilter::default(), &page)
            .await
            .unwrap();
        found.extend(answer.items.into_iter().map(|delivery| delivery.id));
        let endpoint = &record.endpoints[0];
        record
            .ledger
            .delivery(&record.acme, endpoint, pending(at(second)), at(second))
            .await;
        match answer.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(
        found,
        record.expect(|_| true),
        "neither repeated nor skipped"
    );
}

#[tokio::test]
async fn a_rare_match_is_found_however_much_lies_before_it() {
    let record = record().await;
    let store = &record.ledger.store;
    // Newer ones than the record's, more than one page looks at.
    let sql = "
        INSERT INTO deliveries (tenant, id, event_id, event_type, endpoint_id, status, created_at,
            finished_at, profile, profile_version, trigger)
        SELECT 'acme', 'dlv_7' || lpad(n::text, 25, '0'), 'evt_' || n, 'a.changed',
            'ep_7' || lpad('1', 25, '0'), 'succeeded', now(), now(), 'github', 0, 'event'
        FROM generate_series(1, 45000) n";
    record.ledger.value(sql).await;
    let sql = "
        INSERT INTO events (tenant, id, type, occurred_at, created_at, content_hash)
        SELECT 'acme', 'new_' || n, 'a.changed', now(), now() + n * interval '1 s', ''
        FROM generate_series(1, 45000) n";
    record.ledger.value(sql).await;
    let filter = DeliveryFilter {
        event_type: Some(event_type("b.created")),
        ..DeliveryFilter::default()
    };
    let first = store
        .list_deliveries(&record.acme, &filter, &PageRequest::first(50))
        .await;
    let Page { items, next_cursor } = first.unwrap();
    assert!(
        items.is_empty() && next_cursor.is_some(),
        "a page's effort is bounded"
    );
    assert_eq!(
        record.list(&filter, 50).await,
        record.expect(|n| n % 3 == 2)
    );
    assert_eq!(record.list(&filter, 3).await, record.expect(|n| n % 3 == 2));

    let filter = EventFilter {
        event_type: Some(event_type("b.created")),
        ..EventFilter::default()
    };
    let mut found = HashSet::new();
    let mut page = PageRequest::first(4);
    loop {
        let answer = store
            .list_events(&record.acme, &filter, &page)
            .await
            .unwrap();
        for event in answer.items {
            assert!(found.insert(event.id));
        }
        let Some(cursor) = answer.next_cursor else {
            break;
        };
        page.cursor = Some(cursor);
    }
    assert_eq!(found.len(), 10);
}

#[tokio::test]
async fn events_are_listed_by_the_time_they_came_whatever_their_ids() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = tenant("acme");
    let mut names = Vec::new();
    for (n, name) in ["z", "b", "evt", "a", "m", "c"].into_iter().enumerate() {
        let kind = if n % 2 == 0 { "even.x" } else { "odd.x" };
        let mut item = fanout_event(&acme, kind, b"{}", at(0));
        item.event.id = EventId::parse(name).unwrap();
        // Two and two come in the same instant.
        let now = at(i64::try_from(n / 2).unwrap());
        store.insert_fanout(now, &[item]).await.unwrap();
        names.push(name);
    }
    let list = async |filter: EventFilter, limit| {
        let mut found = Vec::new();
        let mut page = PageRequest::first(limit);
        loop {
            let answer = store.list_events(&acme, &filter, &page).await.unwrap();
            found.extend(answer.items.into_iter().map(|event| event.id.to_string()));
            let Some(cursor) = answer.next_cursor else {
                return found;
            };
            page.cursor = Some(cursor);
        }
    };
    for limit in [1, 2, 5, 6, 7] {
        let all = EventFilter::default();
        assert_eq!(list(all, limit).await, ["m", "c", "evt", "a", "z", "b"]);
    }
    let odd = EventFilter {
        event_type: Some(event_type("odd.x")),
        ..EventFilter::default()
    };
    assert_eq!(list(odd, 2).await, ["c", "a", "b"]);
    let within = EventFilter {
        since: Some(at(1)),
        until: Some(at(2)),
        event_type: None,
    };
    assert_eq!(list(within, 1).await, ["evt", "a"]);
}

#[tokio::test]
async fn a_made_up_cursor_is_refused() {
    let record = record().await;
    let page = PageRequest {
        limit: 3,
        cursor: Some("made up".to_owned()),
    };
    let store = &record.ledger.store;
    let filter = DeliveryFilter::default();
    let error = store
        .list_deliveries(&record.acme, &filter, &page)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::BadCursor) && !error.is_transient());
    let error = store
        .list_events(&record.acme, &EventFilter::default(), &page)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::BadCursor));
}

#[tokio::test]
async fn stats_count_by_status_endpoint_and_type() {
    let record = record().await;
    let stats = record
        .ledger
        .store
        .stats(&record.acme, at(10), at(20))
        .await
        .unwrap();
    assert_eq!(stats.events, 10);
    assert_eq!(stats.by_status.len(), 5);
    assert!(stats.by_status.iter().all(|(_, count)| *count == 2));
    let total: u64 = stats.by_endpoint.iter().map(|(_, _, count)| count).sum();
    assert_eq!(total, 10);
    let of_type: u64 = stats
        .by_event_type
        .iter()
        .filter(|(kind, _, _)| *kind == event_type("a.created"))
        .map(|(_, _, count)| count)
        .sum();
    assert_eq!(of_type, 3);
    let before = at(0) - TimeDelta::days(1);
    let none = record
        .ledger
        .store
        .stats(&record.acme, before, at(0))
        .await
        .unwrap();
    assert_eq!(none, signpost_store::Stats::default());
}
