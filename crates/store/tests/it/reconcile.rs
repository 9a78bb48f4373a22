//! What everybody has forgotten comes back, once, and by one process at a time.

use std::time::Duration;

use chrono::TimeDelta;
use signpost_domain::{DeliveryId, DeliveryStatus, EndpointStatus, TenantId};
use signpost_store::{AttemptClaim, Claim, Store};
use signpost_testkit::wait_until;

use crate::support::{
    Ledger, at, days, endpoint_id, failed, fanout_event, held, new_delivery, pending, settings,
    succeeded, tenant, to_be_retried,
};

const LEASE: TimeDelta = TimeDelta::seconds(60);

fn overdue() -> TimeDelta {
    TimeDelta::seconds(15)
}

#[tokio::test]
async fn only_one_process_holds_the_lock() {
    let ledger = Ledger::new().await;
    let other = ledger.other(|_| {});
    let mut lock = ledger
        .store
        .try_reconciler_lock()
        .await
        .unwrap()
        .expect("nobody has it");
    assert!(other.try_reconciler_lock().await.unwrap().is_none());
    assert!(lock.is_held().await);
    lock.release().await;
    let lock = other
        .try_reconciler_lock()
        .await
        .unwrap()
        .expect("it was given back");
    drop(lock);
    let store = &ledger.store;
    let patience = Duration::from_secs(5);
    let mut lock = wait_until("the dropped lock is free", patience, async || {
        store
            .try_reconciler_lock()
            .await
            .unwrap()
            .ok_or("it is taken")
    })
    .await;
    ledger
        .value("SELECT pg_terminate_backend(pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE locktype = 'advisory' AND datname = current_database()")
        .await;
    assert!(!lock.is_held().await);
}

#[tokio::test]
async fn overdue_deliveries_are_claimed_oldest_first_and_once() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let store = &ledger.store;
    let mut item = fanout_event(&acme, "license.created", br#"{"n": 1.0}"#, at(0));
    for due in [20, 10, 0, 30, 31] {
        item.deliveries
            .push(new_delivery(&endpoint, pending(at(due)), at(0)));
    }
    store.insert_fanout(at(0), &[item.clone()]).await.unwrap();
    let ids: Vec<_> = item
        .deliveries
        .iter()
        .map(|delivery| delivery.id.clone())
        .collect();
    store
        .settle(&[to_be_retried(&acme, &ids[1], 1, 0)])
        .await
        .unwrap(); // due at 10 again

    let now = at(45);
    let claimed = store.claim_overdue(now, overdue(), 2, LEASE).await.unwrap();
    let claimed_ids: Vec<_> = claimed.iter().map(|delivery| &delivery.id).collect();
    assert_eq!(claimed_ids, [&ids[2], &ids[1]]);
    assert_eq!(claimed[0].data, Some(item.event.data.clone()));
    assert_eq!(claimed[0].occurred_at, item.event.occurred_at);
    assert_eq!(claimed[0].endpoint_id, endpoint);
    assert_eq!(
        (claimed[0].profile.as_str(), claimed[0].profile_version),
        ("standard-webhooks", 0)
    );
    assert_eq!(
        (claimed[0].state.next_number, claimed[1].state.next_number),
        (1, 2)
    );
    assert_eq!(claimed[1].state.retries_used, 1);
    assert_eq!(
        ledger.find(&acme, &ids[2]).await.next_attempt_at,
        Some(now + LEASE)
    );

    let rest = store
        .claim_overdue(now, overdue(), 10, LEASE)
        .await
        .unwrap();
    let rest_ids: Vec<_> = rest.iter().map(|delivery| &delivery.id).collect();
    assert_eq!(
        rest_ids,
        [&ids[0], &ids[3]],
        "the last one is not overdue yet"
    );
    assert!(
        store
            .claim_overdue(now, overdue(), 10, LEASE)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn held_deliveries_go_oldest_first_once_their_endpoint_is_active() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let store = &ledger.store;
    let (resumed, paused) = (ledger.endpoint(&acme).await, ledger.endpoint(&acme).await);
    let mut ids = Vec::new();
    for second in 0..5 {
        ids.push(ledger.delivery(&acme, &resumed, held(), at(second)).await.1);
        ledger.delivery(&acme, &paused, held(), at(second)).await;
    }
    for endpoint in [&resumed, &paused] {
        let status = EndpointStatus::Paused;
        assert!(
            store
                .set_endpoint_status(&acme, endpoint, status, None, at(9))
                .await
                .unwrap()
        );
    }
    assert!(
        store
            .claim_held_of_active_endpoints(at(9), 3, LEASE)
            .await
            .unwrap()
            .is_empty()
    );

    let status = EndpointStatus::Active;
    assert!(
        store
            .set_endpoint_status(&acme, &resumed, status, None, at(10))
            .await
            .unwrap()
    );
    let first = store
        .claim_held_of_active_endpoints(at(10), 3, LEASE)
        .await
        .unwrap();
    let second = store
        .claim_held_of_active_endpoints(at(10), 3, LEASE)
        .await
        .unwrap();
    let claimed: Vec<_> = first
        .iter()
        .chain(&second)
        .map(|delivery| delivery.id.clone())
        .collect();
    assert_eq!(claimed, ids);
    assert!(
        store
            .claim_held_of_active_endpoints(at(10), 3, LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    let row = ledger.find(&acme, &ids[0]).await;
    assert_eq!(
        (row.status, row.next_attempt_at),
        (DeliveryStatus::Pending, Some(at(70)))
    );
    assert_eq!(row.status_reason, None);
}

#[tokio::test]
async fn what_a_deleted_endpoint_was_owed_is_discarded() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let store = &ledger.store;
    let (gone, stays) = (ledger.endpoint(&acme).await, ledger.endpoint(&acme).await);
    let (_, open) = ledger
        .delivery(&acme, &gone, pending(at(days(1))), at(0))
        .await;
    let (_, kept) = ledger.delivery(&acme, &gone, held(), at(0)).await;
    let (_, ended) = ledger.delivery(&acme, &gone, pending(at(30)), at(0)).await;
    let (_, other) = ledger.delivery(&acme, &stays, pending(at(30)), at(0)).await;
    store
        .settle(&[succeeded(&acme, &ended, 1, 1)])
        .await
        .unwrap();

    assert!(store.delete_endpoint(&acme, &gone, at(10)).await.unwrap());
    assert!(!store.delete_endpoint(&acme, &gone, at(10)).await.unwrap());
    let claimed = store
        .claim_held_of_active_endpoints(at(11), 9, LEASE)
        .await
        .unwrap();
    assert!(claimed.is_empty(), "held for a deleted endpoint");
    assert_eq!(store.discard_of_deleted(at(80), 1).await.unwrap(), 1);
    assert_eq!(store.discard_of_deleted(at(80), 9).await.unwrap(), 1);
    assert_eq!(store.discard_of_deleted(at(80), 9).await.unwrap(), 0);
    for id in [&open, &kept] {
        assert_eq!(
            ledger.find(&acme, id).await.status,
            DeliveryStatus::Discarded
        );
    }
    assert_eq!(
        ledger.find(&acme, &ended).await.status,
        DeliveryStatus::Succeeded
    );
    assert_eq!(
        ledger.find(&acme, &other).await.status,
        DeliveryStatus::Pending
    );
    assert_eq!(
        ledger
            .value("SELECT count(*) FROM endpoints WHERE swept_at IS NOT NULL")
            .await,
        "1"
    );
}

#[tokio::test]
async fn an_endpoint_that_has_only_failed_for_days_is_paused_once() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let store = &ledger.store;
    let (bad, good) = (ledger.endpoint(&acme).await, ledger.endpoint(&acme).await);
    let version = || async {
        store
            .tenant_versions(std::slice::from_ref(&acme))
            .await
            .unwrap()[&acme]
    };
    let before = version().await;
    for second in [0, 100] {
        let failing = [bad.clone(), good.clone()].map(|id| (acme.clone(), id, at(second)));
        store.note_failing(&failing).await.unwrap();
    }
    let listed = store.failing_endpoints(10).await.unwrap();
    assert_eq!(listed.len(), 2);
    let good = [(acme.clone(), good.clone())];
    let recovered = store.note_working(&good).await.unwrap();
    assert_eq!(
        (&recovered[0].id, recovered[0].failing_since),
        (&good[0].1, at(0))
    );
    assert!(store.note_working(&good).await.unwrap().is_empty(), "once");
    assert_eq!(version().await, before, "bookkeeping wakes nobody");

    let reason = "every attempt failed for 5 days";
    let pause = |before, now| {
        store.pause_failing_endpoints(at(before), TimeDelta::hours(12), reason, at(now))
    };
    let (_, first) = ledger.delivery(&acme, &bad, pending(at(0)), at(0)).await;
    store
        .settle(&[failed(&acme, &first, 1, 3600)])
        .await
        .unwrap();
    let too_few = pause(0, days(5)).await.unwrap();
    assert!(too_few.is_empty(), "tried for an hour only");
    let (_, second) = ledger
        .delivery(&acme, &bad, pending(at(days(1))), at(days(1)))
        .await;
    store
        .settle(&[failed(&acme, &second, 1, days(1))])
        .await
        .unwrap();
    assert!(pause(-1, 1).await.unwrap().is_empty(), "not long enough");
    let paused = pause(0, days(5)).await.unwrap();
    assert_eq!(paused.len(), 1);
    assert_eq!((&paused[0].id, paused[0].failing_since), (&bad, at(0)));
    assert!(pause(0, days(5)).await.unwrap().is_empty(), "once");
    assert!(version().await > before);

    let endpoint = store.find_endpoint(&acme, &bad).await.unwrap().unwrap();
    assert_eq!(endpoint.settings.status, EndpointStatus::Paused);
    assert_eq!(endpoint.status_reason.as_deref(), Some(reason));
    // A person resumes it: past failures are forgotten.
    let read_at = endpoint.updated_at;
    store
        .update_endpoint(&acme, &bad, &settings(), read_at, at(days(6)))
        .await
        .unwrap();
    let endpoint = store.find_endpoint(&acme, &bad).await.unwrap().unwrap();
    assert_eq!(
        (endpoint.status_reason, endpoint.failing_since),
        (None, None)
    );
}

#[tokio::test]
async fn an_endpoint_with_a_success_that_nobody_noted_is_not_paused() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let store = &ledger.store;
    let endpoint = ledger.endpoint(&acme).await;
    let failing = [(acme.clone(), endpoint.clone(), at(0))];
    store.note_failing(&failing).await.unwrap();
    for (day, is_good) in [(0, false), (1, true), (2, false)] {
        let now = at(days(day));
        let (_, delivery) = ledger.delivery(&acme, &endpoint, pending(now), now).await;
        let settlement = if is_good {
            succeeded(&acme, &delivery, 1, days(day))
        } else {
            failed(&acme, &delivery, 1, days(day))
        };
        store.settle(&[settlement]).await.unwrap();
    }
    let paused = store.pause_failing_endpoints(at(0), TimeDelta::hours(12), "failing", at(days(5)));
    assert!(paused.await.unwrap().is_empty());
}

#[tokio::test]
async fn of_several_copies_of_one_attempt_only_one_is_made_at_a_time() {
    let ledger = Ledger::new().await;
    let (acme, endpoint, store) = (tenant("acme"), endpoint_id(), &ledger.store);
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(10)), at(0))
        .await;
    let claim = async |number, instead_of: Option<i64>, now| {
        claim_as(store, &acme, &delivery, number, instead_of, now).await
    };
    assert_eq!(claim(1, None, 9).await, Claim::NotBefore(at(10)));
    let both = tokio::join!(claim(1, None, 11), claim(1, None, 11));
    assert!(
        matches!(
            both,
            (Claim::Ours, Claim::NotBefore(_)) | (Claim::NotBefore(_), Claim::Ours)
        ),
        "{both:?}"
    );
    assert_eq!(claim(1, None, 12).await, Claim::NotBefore(at(19)));
    // Its holder has died.
    assert_eq!(claim(1, None, 20).await, Claim::Ours);
    // The reconciler's copy takes the place of its own lease, once, and of no other.
    assert_eq!(claim(1, Some(27), 21).await, Claim::NotBefore(at(28)));
    assert_eq!(claim(1, Some(28), 21).await, Claim::Ours);
    assert_eq!(claim(1, Some(28), 22).await, Claim::NotBefore(at(29)));
    let retried = to_be_retried(&acme, &delivery, 1, 2);
    store.settle(&[retried]).await.unwrap();
    assert_eq!(claim(1, Some(29), 30).await, Claim::Over);
    assert_eq!(claim(2, None, 30).await, Claim::Ours);
    store
        .settle(&[succeeded(&acme, &delivery, 2, 31)])
        .await
        .unwrap();
    assert_eq!(claim(2, Some(38), 40).await, Claim::Over);
    let elsewhere = claim_as(store, &tenant("other"), &delivery, 3, None, 50).await;
    assert_eq!(elsewhere, Claim::Over);
}

#[tokio::test]
async fn an_attempt_that_is_begun_again_and_again_without_an_outcome_is_poison() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let store = &ledger.store;
    let endpoint = ledger.endpoint(&acme).await;
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(0)), at(0))
        .await;
    let claim = |number, now| claim_as(store, &acme, &delivery, number, None, now);
    assert_eq!(claim(1, 1).await, Claim::Ours);
    assert_eq!(claim(1, 2).await, Claim::NotBefore(at(9)));
    // Put off by the gate: nothing was begun.
    let put_off = [(acme.clone(), delivery.clone(), at(20))];
    store.defer(&put_off).await.unwrap();
    // Each of these claimants dies; the next one comes when its lease has ended.
    for now in [20, 40, 60] {
        assert_eq!(claim(1, now).await, Claim::Ours);
    }
    assert_eq!(claim(1, 65).await, Claim::NotBefore(at(68)));
    assert_eq!(claim(1, 68).await, Claim::Poison);
    // An outcome, however late, shows that it was not.
    store
        .settle(&[to_be_retried(&acme, &delivery, 1, 70)])
        .await
        .unwrap();
    let due = ledger.find(&acme, &delivery).await.next_attempt_at.unwrap();
    let later = (due - at(0)).num_seconds();
    assert_eq!(claim(2, later).await, Claim::Ours);
    assert!(store.fail(&acme, &delivery, "poison", due).await.unwrap());
    assert!(!store.fail(&acme, &delivery, "poison", due).await.unwrap());
    assert_eq!(
        ledger.find(&acme, &delivery).await.status,
        DeliveryStatus::Failed
    );
}

/// One claim, for eight seconds.
async fn claim_as(
    store: &Store,
    tenant: &TenantId,
    delivery_id: &DeliveryId,
    number: u32,
    instead_of: Option<i64>,
    now: i64,
) -> Claim {
    let claim = AttemptClaim {
        tenant: tenant.clone(),
        delivery_id: delivery_id.clone(),
        number,
        instead_of: instead_of.map(at),
        lease: Duration::from_secs(8),
    };
    store.claim_attempts(&[claim], at(now)).await.unwrap()[0]
}
