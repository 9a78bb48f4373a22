//! Attempts are recorded once each, and only the one that a delivery waits for moves it on.

use serde_json::json;
use signpost_domain::{DeliveryStatus, Outcome, Trigger};
use signpost_store::Settled;

use crate::support::{
    Ledger, at, endpoint_id, failed, held, pending, raw, succeeded, tenant, to_be_retried,
};

#[tokio::test]
async fn an_attempt_and_the_new_state_are_recorded_together() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let store = &ledger.store;

    let retried = to_be_retried(&acme, &delivery, 1, 2);
    assert_eq!(
        store.settle(&[retried.clone()]).await.unwrap(),
        [Settled::Done { number: 1 }]
    );
    let row = ledger.find(&acme, &delivery).await;
    assert_eq!(
        (row.status, row.next_attempt_at),
        (DeliveryStatus::Pending, Some(at(12)))
    );
    assert_eq!((row.attempt_count, row.retries_used), (1, 1));
    assert_eq!(row.last_status_code, Some(503));

    let mut timed_out = failed(&acme, &delivery, 2, 12);
    timed_out.attempt.outcome = Outcome::Timeout;
    timed_out.attempt.status_code = None;
    timed_out.attempt.responded_at = None;
    timed_out.attempt.response_headers = None;
    timed_out.attempt.response_body = None;
    timed_out.attempt.error = Some("no answer\0 within 10 s".to_owned());
    assert_eq!(
        store.settle(&[timed_out]).await.unwrap(),
        [Settled::Done { number: 2 }]
    );
    let row = ledger.find(&acme, &delivery).await;
    assert_eq!(
        (row.status, row.next_attempt_at),
        (DeliveryStatus::Failed, None)
    );
    assert_eq!(
        (row.attempt_count, row.retries_used, row.last_status_code),
        (2, 1, None)
    );
    assert_eq!(row.finished_at, Some(at(12)));
    assert_eq!(
        row.status_reason.as_deref(),
        Some("status 404 is not retried")
    );

    let attempts = store.list_attempts(&acme, &delivery).await.unwrap();
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2]);
    let first = &attempts[0];
    assert_eq!(
        (first.trigger, first.outcome),
        (Trigger::Event, Outcome::HttpError)
    );
    assert_eq!(first.requested_at, retried.attempt.requested_at);
    assert_eq!(first.responded_at, retried.attempt.responded_at);
    assert_eq!(
        raw(&first.request_headers).get(),
        retried.attempt.request_headers.get()
    );
    assert_eq!(first.response_headers, Some(json!({"server": "test"})));
    assert_eq!(first.response_body.as_deref(), Some(&b"answer"[..]));
    assert_eq!(first.next_attempt_at, Some(at(12)));
    assert_eq!(first.retry_reason, retried.attempt.retry_reason);
    assert_eq!(
        attempts[1].error.as_deref(),
        Some("no answer\u{fffd} within 10 s")
    );
    assert_eq!(
        (attempts[1].trigger, attempts[1].response_body.as_ref()),
        (Trigger::Retry, None)
    );
}

#[tokio::test]
async fn settling_twice_records_once() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let once = to_be_retried(&acme, &delivery, 1, 2);
    let done = Settled::Done { number: 1 };
    assert_eq!(ledger.store.settle(&[once.clone()]).await.unwrap(), [done]);
    // As after a commit whose answer was lost: the caller still learns to publish the retry.
    assert_eq!(ledger.store.settle(&[once.clone()]).await.unwrap(), [done]);
    assert_eq!(
        ledger.store.settle(&[once.clone(), once]).await.unwrap(),
        [done, done]
    );
    assert_eq!(ledger.find(&acme, &delivery).await.attempt_count, 1);
    assert_eq!(ledger.value("SELECT count(*) FROM attempts").await, "1");
}

#[tokio::test]
async fn a_late_writer_is_recorded_but_changes_nothing() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let store = &ledger.store;
    let quick = to_be_retried(&acme, &delivery, 1, 5);
    let late = failed(&acme, &delivery, 1, 2);
    assert_eq!(
        store.settle(&[quick]).await.unwrap(),
        [Settled::Done { number: 1 }]
    );
    assert_eq!(
        store.settle(&[late.clone()]).await.unwrap(),
        [Settled::Late { number: 2 }]
    );
    assert_eq!(
        store.settle(&[late]).await.unwrap(),
        [Settled::Late { number: 2 }]
    );

    let row = ledger.find(&acme, &delivery).await;
    assert_eq!(
        (row.status, row.next_attempt_at),
        (DeliveryStatus::Pending, Some(at(15)))
    );
    assert_eq!((row.attempt_count, row.last_status_code), (2, Some(503)));
    let attempts = store.list_attempts(&acme, &delivery).await.unwrap();
    assert_eq!(
        attempts.iter().map(|a| a.is_late).collect::<Vec<_>>(),
        [false, true]
    );

    // The retry that was published after the quick one carries number 2, and still counts.
    let state = store
        .load_delivery_state(&acme, &delivery)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(state.next_number, 2);
    let retry = succeeded(&acme, &delivery, 2, 15);
    assert_eq!(
        store.settle(&[retry]).await.unwrap(),
        [Settled::Done { number: 3 }]
    );
    let row = ledger.find(&acme, &delivery).await;
    assert_eq!(
        (row.status, row.attempt_count),
        (DeliveryStatus::Succeeded, 3)
    );

    // After the end: recorded, and the end stays.
    let later = failed(&acme, &delivery, 3, 20);
    assert_eq!(
        store.settle(&[later]).await.unwrap(),
        [Settled::Late { number: 4 }]
    );
    assert_eq!(
        ledger.find(&acme, &delivery).await.status,
        DeliveryStatus::Succeeded
    );
}

#[tokio::test]
async fn many_writers_of_one_attempt_leave_one_that_counts_and_no_gap() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = ledger.store.clone();
            let settlement = succeeded(&acme, &delivery, 1, writer);
            tokio::spawn(async move { store.settle(&[settlement]).await.unwrap()[0] })
        })
        .collect();
    let mut done = 0;
    for writer in writers {
        done += usize::from(matches!(writer.await.unwrap(), Settled::Done { .. }));
    }
    assert_eq!(done, 1);
    let attempts = ledger.store.list_attempts(&acme, &delivery).await.unwrap();
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(ledger.find(&acme, &delivery).await.attempt_count, 8);
}

#[tokio::test]
async fn one_batch_may_hold_two_attempts_of_a_delivery_and_one_of_none() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let (_, held) = ledger.delivery(&acme, &endpoint, held(), at(0)).await;
    let missing = signpost_domain::DeliveryId::generate(at(0), [9; 10]);
    let batch = [
        to_be_retried(&acme, &delivery, 1, 1),
        succeeded(&acme, &delivery, 2, 11),
        succeeded(&acme, &missing, 1, 1),
        succeeded(&acme, &held, 1, 1),
    ];
    let results = ledger.store.settle(&batch).await.unwrap();
    // Which of the two was taken first is not said; both are recorded and the end is right.
    assert!(!matches!(results[0], Settled::Gone) && !matches!(results[1], Settled::Gone));
    assert_eq!(results[2..], [Settled::Gone, Settled::Done { number: 1 }]);
    assert_eq!(ledger.find(&acme, &delivery).await.attempt_count, 2);
    assert_eq!(
        ledger.find(&acme, &held).await.status,
        DeliveryStatus::Succeeded
    );
    assert_eq!(ledger.store.settle(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn deliveries_are_deferred_held_and_discarded_only_while_open() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let store = &ledger.store;
    let (_, open) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let (_, ended) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    store
        .settle(&[succeeded(&acme, &ended, 1, 1)])
        .await
        .unwrap();
    let both = [(acme.clone(), open.clone()), (acme.clone(), ended.clone())];

    let times = both.clone().map(|(tenant, id)| (tenant, id, at(90)));
    store.defer(&times).await.unwrap();
    assert_eq!(
        ledger.find(&acme, &open).await.next_attempt_at,
        Some(at(90))
    );
    assert_eq!(
        store.hold(&both, "the endpoint is paused").await.unwrap(),
        1
    );
    assert_eq!(ledger.find(&acme, &open).await.status, DeliveryStatus::Held);
    assert_eq!(
        store
            .discard(&both, "the endpoint is disabled", at(99))
            .await
            .unwrap(),
        1
    );
    let row = ledger.find(&acme, &open).await;
    assert_eq!(
        (row.status, row.finished_at),
        (DeliveryStatus::Discarded, Some(at(99)))
    );
    assert_eq!(
        row.status_reason.as_deref(),
        Some("the endpoint is disabled")
    );
    assert_eq!(
        ledger.find(&acme, &ended).await.status,
        DeliveryStatus::Succeeded
    );
}

#[tokio::test]
async fn numbers_that_do_not_fit_are_cut_not_refused() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let mut settlement = succeeded(&acme, &delivery, u32::MAX, 1);
    settlement.attempt.duration_ms = u32::MAX;
    assert_eq!(
        ledger.store.settle(&[settlement]).await.unwrap(),
        [Settled::Done { number: 1 }]
    );
    let attempts = ledger.store.list_attempts(&acme, &delivery).await.unwrap();
    assert_eq!(attempts[0].duration_ms, i32::MAX.unsigned_abs());
}
