//! Old bodies and old rows go, in steps; what is still owed stays.

use chrono::{DateTime, Utc};
use signpost_domain::TenantId;
use signpost_store::{RetentionPosition, Store};

use crate::support::{Ledger, at, days, fanout_event, held, new_delivery, pending, succeeded};

async fn clear_bodies(store: &Store, tenant: &TenantId, before: DateTime<Utc>) -> (u64, u32) {
    let (mut rows, mut steps) = (0, 0);
    loop {
        let step = store.clear_bodies_step(tenant, before, 3).await.unwrap();
        rows += step.rows;
        steps += 1;
        if step.is_done {
            return (rows, steps);
        }
    }
}

async fn delete_rows(store: &Store, tenant: &TenantId, before: DateTime<Utc>) -> (u64, u32) {
    let mut position = RetentionPosition::default();
    let (mut rows, mut steps) = (0, 0);
    loop {
        let step = store
            .delete_rows_step(tenant, before, 3, &mut position)
            .await
            .unwrap();
        rows += step.rows;
        steps += 1;
        if step.is_done {
            return (rows, steps);
        }
    }
}

#[tokio::test]
async fn bodies_go_first_and_rows_later_in_small_steps() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = ledger.tenant("acme").await;
    let endpoint = ledger.endpoint(&acme).await;
    let mut ids = Vec::new();
    for day in 0..10 {
        let now = at(days(day));
        let (event, delivery) = ledger.delivery(&acme, &endpoint, pending(now), now).await;
        store
            .settle(&[succeeded(&acme, &delivery, 1, days(day))])
            .await
            .unwrap();
        ids.push((event, delivery));
    }
    let (kept_event, kept) = ledger.delivery(&acme, &endpoint, held(), at(5)).await;

    let (rows, steps) = clear_bodies(store, &acme, at(days(7))).await;
    assert_eq!(rows, 14, "seven events and seven answers");
    assert!(steps >= 3, "{steps}");
    assert_eq!(clear_bodies(store, &acme, at(days(7))).await, (0, 1));
    for (day, (event, delivery)) in ids.iter().enumerate() {
        let event = store.find_event(&acme, event).await.unwrap().unwrap();
        let attempts = store.list_attempts(&acme, delivery).await.unwrap();
        assert_eq!(event.data.is_some(), day >= 7, "{day}");
        assert_eq!(attempts[0].response_body.is_some(), day >= 7, "{day}");
    }
    let event = store.find_event(&acme, &kept_event).await.unwrap().unwrap();
    assert!(event.data.is_some(), "still to be sent");
    assert_eq!(
        clear_bodies(store, &acme, at(days(8))).await.0,
        2,
        "it goes on where it was"
    );

    let (rows, steps) = delete_rows(store, &acme, at(days(5))).await;
    assert_eq!(rows, 10, "five deliveries and five events");
    assert!(steps >= 4, "{steps}");
    for (day, (event, delivery)) in ids.iter().enumerate() {
        assert_eq!(
            store.find_event(&acme, event).await.unwrap().is_some(),
            day >= 5
        );
        assert_eq!(
            store
                .find_delivery(&acme, delivery)
                .await
                .unwrap()
                .is_some(),
            day >= 5
        );
        assert_eq!(
            store.list_attempts(&acme, delivery).await.unwrap().len(),
            usize::from(day >= 5)
        );
    }
    assert!(store.find_delivery(&acme, &kept).await.unwrap().is_some());
    assert!(
        store
            .find_event(&acme, &kept_event)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(delete_rows(store, &acme, at(days(5))).await.0, 0);

    store
        .delete_endpoint(&acme, &endpoint, at(days(10)))
        .await
        .unwrap();
    delete_rows(store, &acme, at(days(9))).await;
    assert_eq!(ledger.value("SELECT count(*) FROM endpoints").await, "1");
    delete_rows(store, &acme, at(days(11))).await;
    assert_eq!(ledger.value("SELECT count(*) FROM endpoints").await, "0");
}

#[tokio::test]
async fn events_of_one_instant_do_not_stop_the_steps() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = ledger.tenant("acme").await;
    let endpoint = ledger.endpoint(&acme).await;
    let mut batch = Vec::new();
    for _ in 0..20 {
        let mut item = fanout_event(&acme, "license.created", b"{}", at(0));
        item.deliveries
            .push(new_delivery(&endpoint, pending(at(0)), at(0)));
        batch.push(item);
    }
    store.insert_fanout(at(0), &batch).await.unwrap();
    let settlements: Vec<_> = batch
        .iter()
        .map(|item| succeeded(&acme, &item.deliveries[0].id, 1, 1))
        .collect();
    store.settle(&settlements).await.unwrap();
    assert_eq!(clear_bodies(store, &acme, at(2)).await.0, 40);
    assert_eq!(delete_rows(store, &acme, at(2)).await.0, 40);
    assert_eq!(store.all_tenants().await.unwrap().len(), 2);
}
