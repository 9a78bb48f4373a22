//! Deliveries once more: retried, replayed, recovered.

use std::time::Duration;

use signpost_domain::{DeliveryId, DeliveryStatus, EventId, Trigger};
use signpost_store::{AttemptClaim, Claim, NewDelivery, Reset};

use crate::support::{
    Ledger, at, days, endpoint_id, failed, held, new_delivery, pending, succeeded, tenant,
    to_be_retried,
};

#[tokio::test]
async fn a_delivery_that_waits_or_has_ended_starts_again_with_all_its_retries() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let reset = async |due| {
        store
            .reset_for_retry(&acme, &delivery, Trigger::Manual, at(due))
            .await
            .unwrap()
    };
    assert_eq!(reset(5).await, Reset::UnderWay, "a first attempt");
    store
        .settle(&[to_be_retried(&acme, &delivery, 1, 1)])
        .await
        .unwrap();
    assert_eq!(reset(6).await, Reset::Done, "it waits for a retry");
    let row = ledger.find(&acme, &delivery).await;
    assert_eq!((row.next_attempt_at, row.retries_used), (Some(at(6)), 0));
    let claim = AttemptClaim {
        tenant: acme.clone(),
        delivery_id: delivery.clone(),
        number: 2,
        instead_of: None,
        lease: Duration::from_secs(13),
    };
    let claimed = store.claim_attempts(&[claim], at(7)).await.unwrap();
    assert_eq!(claimed, [Claim::Ours]);
    assert_eq!(reset(8).await, Reset::UnderWay, "it has been claimed");
    store
        .settle(&[failed(&acme, &delivery, 2, 11)])
        .await
        .unwrap();
    assert_eq!(reset(50).await, Reset::Done);
    let row = ledger.find(&acme, &delivery).await;
    assert_eq!(
        (row.status, row.next_attempt_at),
        (DeliveryStatus::Pending, Some(at(50)))
    );
    assert_eq!((row.attempt_count, row.retries_used), (2, 0));
    assert_eq!(
        (row.finished_at, row.status_reason, row.trigger),
        (None, None, Trigger::Manual)
    );
    let due = store
        .load_for_publish(&acme, &delivery)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(due.state.next_number, 3);

    store
        .settle(&[succeeded(&acme, &delivery, 3, 50)])
        .await
        .unwrap();
    ledger.value("UPDATE events SET data = NULL").await;
    assert_eq!(reset(60).await, Reset::DataGone);
    let missing = DeliveryId::generate(at(0), [9; 10]);
    let reset = store
        .reset_for_retry(&acme, &missing, Trigger::Manual, at(60))
        .await
        .unwrap();
    assert_eq!(reset, Reset::Missing);
}

#[tokio::test]
async fn a_replayed_event_gets_new_deliveries() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (event, first) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    store
        .settle(&[succeeded(&acme, &first, 1, 1)])
        .await
        .unwrap();
    let replay = NewDelivery {
        trigger: Trigger::Replay,
        ..new_delivery(&endpoint, pending(at(90)), at(90))
    };
    let replays = [replay.clone()];
    assert_eq!(
        store
            .insert_replay(&acme, &event, &replays, at(90))
            .await
            .unwrap(),
        Some(1)
    );
    let row = ledger.find(&acme, &replay.id).await;
    assert_eq!(
        (row.status, row.trigger),
        (DeliveryStatus::Pending, Trigger::Replay)
    );
    assert_eq!(
        (row.event_id, row.event_type.as_str()),
        (event.clone(), "license.created")
    );
    assert_eq!(row.created_at, at(90));
    assert_eq!(
        store
            .insert_replay(&acme, &event, &[], at(90))
            .await
            .unwrap(),
        Some(0)
    );
    let unknown = EventId::parse("unknown").unwrap();
    assert_eq!(
        store
            .insert_replay(&acme, &unknown, &replays, at(90))
            .await
            .unwrap(),
        None
    );
    ledger.value("UPDATE events SET data = NULL").await;
    assert_eq!(
        store
            .insert_replay(&acme, &event, &replays, at(90))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn an_endpoint_recovers_everything_it_missed_since_a_time() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let (acme, endpoint, other) = (tenant("acme"), endpoint_id(), endpoint_id());
    let mut missed = Vec::new();
    for day in 0..10 {
        let now = at(days(day));
        let (_, id) = ledger.delivery(&acme, &endpoint, pending(now), now).await;
        store
            .settle(&[failed(&acme, &id, 1, days(day))])
            .await
            .unwrap();
        missed.push(id);
        missed.push(ledger.delivery(&acme, &endpoint, held(), now).await.1);
        let (_, fine) = ledger.delivery(&acme, &endpoint, pending(now), now).await;
        store
            .settle(&[succeeded(&acme, &fine, 1, days(day))])
            .await
            .unwrap();
        let (_, foreign) = ledger.delivery(&acme, &other, pending(now), now).await;
        store
            .settle(&[failed(&acme, &foreign, 1, days(day))])
            .await
            .unwrap();
    }
    let gone = format!(
        "UPDATE events SET data = NULL WHERE id =
            (SELECT event_id FROM deliveries WHERE id = '{}')",
        missed[8]
    );
    ledger.value(&gone).await;
    let due = at(days(20));
    let recover = store.recover_endpoint(&acme, &endpoint, at(days(3)), at(days(8)), due);
    assert_eq!(
        recover.await.unwrap(),
        9,
        "five days, twice, less the one whose data is gone"
    );
    for (n, id) in missed.iter().enumerate() {
        let row = ledger.find(&acme, id).await;
        let is_recovered = (6..16).contains(&n) && n != 8;
        assert_eq!(row.status == DeliveryStatus::Pending, is_recovered, "{n}");
        if is_recovered {
            assert_eq!(
                (row.next_attempt_at, row.trigger),
                (Some(due), Trigger::Manual)
            );
        }
    }
    let again = store.recover_endpoint(&acme, &endpoint, at(days(3)), at(days(8)), due);
    assert_eq!(again.await.unwrap(), 0);
}

#[tokio::test]
async fn thousands_are_recovered_in_steps() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let fill = format!(
        "WITH e AS (
            INSERT INTO events (tenant, id, type, data, occurred_at, created_at, content_hash)
            VALUES ('acme', 'one', 'a.b', '1', now(), now(), '') RETURNING id)
        INSERT INTO deliveries (tenant, id, event_id, event_type, endpoint_id, status,
            status_reason, created_at, finished_at, profile, profile_version, trigger)
        SELECT 'acme', '{}' || lpad(n::text, 12, '0'), e.id, 'a.b', '{endpoint}', 'failed', 'x',
            '{}', now(), 'github', 0, 'event'
        FROM generate_series(1, 2500) n, e",
        &DeliveryId::generate(at(0), [0; 10]).as_str()[..18],
        at(0).to_rfc3339(),
    );
    ledger.value(&fill).await;
    let store = &ledger.store;
    let recovered = store
        .recover_endpoint(&acme, &endpoint, at(0), at(1), at(9))
        .await
        .unwrap();
    assert_eq!(recovered, 2500);
}
