//! A tenant sees and changes only its own, even where it knows another one's ids.

use std::time::Duration;

use chrono::TimeDelta;
use secrecy::SecretString;
use signpost_domain::{EndpointStatus, Trigger};
use signpost_store::{
    ApiKey, DeliveryFilter, EndpointUpdate, EventFilter, EventTypeSettings, KeyRole, PageRequest,
    Reset, RetentionPosition, SecretScope, Settled, Stats, Validation,
};

use crate::support::{
    Ledger, at, days, event_type, failed, key_id, new_delivery, pending, settings, succeeded,
};

#[tokio::test]
async fn no_query_crosses_from_one_tenant_to_another() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let (victim, other) = (ledger.tenant("victim").await, ledger.tenant("other").await);
    let endpoint = ledger.endpoint(&victim).await;
    let (event, delivery) = ledger
        .delivery(&victim, &endpoint, pending(at(30)), at(0))
        .await;
    let (_, done) = ledger
        .delivery(&victim, &endpoint, pending(at(30)), at(0))
        .await;
    store.settle(&[failed(&victim, &done, 1, 1)]).await.unwrap();
    let key = ApiKey {
        id: key_id(),
        role: KeyRole::Manager,
        tenant: Some(victim.clone()),
        created_at: at(0),
        expires_at: None,
        last_used_at: None,
    };
    store.insert_key(&key, &[1; 32]).await.unwrap();
    let kind = event_type("license.created");
    let described = EventTypeSettings {
        event_type: kind.clone(),
        name: None,
        description: None,
        schema: None,
        validation: Validation::Off,
    };
    store
        .put_event_types(&victim, &[described], at(0))
        .await
        .unwrap();
    let dump = "SELECT string_agg(t::text, ',') FROM (
        SELECT (tenant, id, status, attempt_count, next_attempt_at)::text AS t FROM deliveries
        UNION ALL SELECT (tenant, id, data)::text FROM events
        UNION ALL SELECT (tenant, delivery_id, number)::text FROM attempts
        UNION ALL SELECT (tenant, id, status, failing_since, deleted_at)::text FROM endpoints
        UNION ALL SELECT (tenant, endpoint_id, version, expires_at)::text FROM secrets
        UNION ALL SELECT (tenant, type)::text FROM event_types
        UNION ALL SELECT (tenant, id)::text FROM keys ORDER BY 1) t";
    let before = ledger.value(dump).await;
    let page = PageRequest::first(99);
    let scope = SecretScope::Endpoint(&endpoint);
    let secret = SecretString::from("whsec_stolen_0123456789");

    // Reading.
    assert!(store.find_event(&other, &event).await.unwrap().is_none());
    assert!(
        store
            .find_delivery(&other, &delivery)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .load_delivery_state(&other, &delivery)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .load_for_publish(&other, &delivery)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .unfinished_deliveries(&other, &event)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.list_attempts(&other, &done).await.unwrap().is_empty());
    assert!(
        store
            .find_endpoint(&other, &endpoint)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .live_secrets(&other, scope, at(0))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .find_event_type(&other, &kind)
            .await
            .unwrap()
            .is_none()
    );
    let events = store
        .list_events(&other, &EventFilter::default(), &page)
        .await
        .unwrap();
    assert!(events.items.is_empty());
    for filter in [
        DeliveryFilter::default(),
        DeliveryFilter {
            event_id: Some(event.clone()),
            ..DeliveryFilter::default()
        },
        DeliveryFilter {
            endpoint_id: Some(endpoint.clone()),
            ..DeliveryFilter::default()
        },
        DeliveryFilter {
            event_type: Some(kind.clone()),
            ..DeliveryFilter::default()
        },
    ] {
        let found = store.list_deliveries(&other, &filter, &page).await.unwrap();
        assert!(found.items.is_empty());
    }
    assert!(
        store
            .list_endpoints(&other, &page)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(store.count_endpoints(&other).await.unwrap(), 0);
    assert!(
        store
            .list_keys(Some(&other), &page)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(store.list_keys(None, &page).await.unwrap().items.is_empty());
    assert!(
        store
            .list_event_types(&other, &page)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(
        store.stats(&other, at(-9), at(9)).await.unwrap(),
        Stats::default()
    );
    let directory = store.load_tenant(&other, at(0)).await.unwrap().unwrap();
    assert!(directory.event_types.is_empty());
    let endpoints = store.load_endpoints(&other, None, 9, at(0)).await.unwrap();
    assert!(endpoints.is_empty());
    assert!(directory.secrets.unwrap().is_empty());

    // Changing.
    let stolen = succeeded(&other, &delivery, 1, 5);
    assert_eq!(store.settle(&[stolen]).await.unwrap(), [Settled::Gone]);
    store
        .defer(&[(other.clone(), delivery.clone(), at(99))])
        .await
        .unwrap();
    assert!(!store.fail(&other, &delivery, "x", at(9)).await.unwrap());
    let batch = [(other.clone(), delivery.clone())];
    assert_eq!(store.hold(&batch, "x").await.unwrap(), 0);
    assert_eq!(store.discard(&batch, "x", at(9)).await.unwrap(), 0);
    let reset = store
        .reset_for_retry(&other, &done, Trigger::Manual, at(9))
        .await
        .unwrap();
    assert_eq!(reset, Reset::Missing);
    let replay = [new_delivery(&endpoint, pending(at(9)), at(9))];
    assert_eq!(
        store
            .insert_replay(&other, &event, &replay, at(9))
            .await
            .unwrap(),
        None
    );
    let recovered = store
        .recover_endpoint(&other, &endpoint, at(-9), at(9), at(9))
        .await
        .unwrap();
    assert_eq!(recovered, 0);
    let change = store
        .update_endpoint(&other, &endpoint, &settings(), at(0), at(9))
        .await
        .unwrap();
    assert_eq!(change, EndpointUpdate::Missing);
    assert!(
        !store
            .delete_endpoint(&other, &endpoint, at(9))
            .await
            .unwrap()
    );
    let status = EndpointStatus::Disabled;
    assert!(
        !store
            .set_endpoint_status(&other, &endpoint, status, None, at(9))
            .await
            .unwrap()
    );
    store
        .note_failing(&[(other.clone(), endpoint.clone(), at(0))])
        .await
        .unwrap();
    let rotated = store
        .rotate_secret(&other, scope, &secret, Duration::ZERO, at(9))
        .await
        .unwrap();
    assert!(rotated.is_none());
    assert!(!store.delete_key(Some(&other), &key.id).await.unwrap());
    assert!(!store.delete_key(None, &key.id).await.unwrap());
    assert!(!store.delete_event_type(&other, &kind).await.unwrap());
    let later = at(days(90)) + TimeDelta::days(1);
    store.clear_bodies_step(&other, later, 99).await.unwrap();
    let mut position = RetentionPosition::default();
    store
        .delete_rows_step(&other, later, 99, &mut position)
        .await
        .unwrap();
    store.begin_erasure(&other, at(9)).await.unwrap();
    while !store.erase_step(&other, later, 99).await.unwrap().is_done {}

    assert_eq!(ledger.value(dump).await, before);
}
