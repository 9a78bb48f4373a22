//! Events come in: once each, whole, byte for byte.

use bytes::Bytes;
use signpost_domain::{DeliveryStatus, EventId, Trigger};
use signpost_store::{FanoutResult, InitialState};

use crate::support::{Ledger, at, endpoint_id, fanout_event, held, new_delivery, pending, tenant};

#[tokio::test]
async fn an_event_and_its_deliveries_are_stored_together() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let mut item = fanout_event(&acme, "license.created", br#"{"a":1}"#, at(0));
    item.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let discarded = InitialState::Discarded {
        reason: "the endpoint is disabled".to_owned(),
    };
    for state in [pending(at(30)), held(), discarded] {
        item.deliveries.push(new_delivery(&endpoint, state, at(0)));
    }
    let results = ledger
        .store
        .insert_fanout(at(1), &[item.clone()])
        .await
        .unwrap();
    assert_eq!(results, [FanoutResult::Inserted]);

    let event = ledger
        .store
        .find_event(&acme, &item.event.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(event.data.as_ref(), Some(&item.event.data));
    assert_eq!(event.traceparent, item.traceparent);
    assert_eq!(
        (event.headline.occurred_at, event.headline.created_at),
        (at(0), at(1))
    );

    let [first, second, third] = &item.deliveries[..] else {
        panic!("three deliveries")
    };
    let first = ledger.find(&acme, &first.id).await;
    assert_eq!(first.status, DeliveryStatus::Pending);
    assert_eq!(
        (first.next_attempt_at, first.finished_at),
        (Some(at(30)), None)
    );
    assert_eq!((first.attempt_count, first.trigger), (0, Trigger::Event));
    assert_eq!(first.event_type, item.event.event_type);
    let second = ledger.find(&acme, &second.id).await;
    assert_eq!(second.status, DeliveryStatus::Held);
    assert_eq!((second.next_attempt_at, second.finished_at), (None, None));
    let third = ledger.find(&acme, &third.id).await;
    assert_eq!(third.status, DeliveryStatus::Discarded);
    assert_eq!(
        (third.next_attempt_at, third.finished_at),
        (None, Some(at(1)))
    );
    assert_eq!(
        third.status_reason.as_deref(),
        Some("the endpoint is disabled")
    );
}

#[tokio::test]
async fn data_is_kept_byte_for_byte() {
    let ledger = Ledger::new().await;
    let acme = tenant("acme");
    let many = format!("[{}]", vec![r#""\u00e9\n😀""#; 20_000].join(" ,"));
    let texts = [
        r#" { "b" : 1.0 ,"a":12345678901234567890,  "a":1e2 } "#,
        r#"{"b":1.0,"a":12345678901234567890}"#,
        "\"\\u0000 \\ud800 \\/ é\"",
        "1.10",
        "null",
        "\t[ ]\r\n",
        &many,
    ];
    let batch: Vec<_> = texts
        .iter()
        .map(|text| fanout_event(&acme, "license.created", text.as_bytes(), at(0)))
        .collect();
    ledger.store.insert_fanout(at(0), &batch).await.unwrap();
    for (item, text) in batch.iter().zip(texts) {
        let event = ledger
            .store
            .find_event(&acme, &item.event.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(event.data, Some(Bytes::copy_from_slice(text.as_bytes())));
    }
}

#[tokio::test]
async fn an_event_that_comes_again_brings_no_second_delivery() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let mut first = fanout_event(&acme, "license.created", b"{}", at(0));
    first
        .deliveries
        .push(new_delivery(&endpoint, pending(at(30)), at(0)));
    let mut again = first.clone();
    again.deliveries = vec![new_delivery(&endpoint, pending(at(60)), at(5))];
    let mut other_content = fanout_event(&acme, "license.created", b"{ }", at(0));
    other_content.event.id = first.event.id.clone();
    let mut other_type = fanout_event(&acme, "license.expired", b"{}", at(0));
    other_type.event.id = first.event.id.clone();

    let store = &ledger.store;
    assert_eq!(
        store.insert_fanout(at(0), &[first.clone()]).await.unwrap(),
        [FanoutResult::Inserted]
    );
    let batch = [again, other_content, other_type];
    assert_eq!(
        store.insert_fanout(at(5), &batch).await.unwrap(),
        [
            FanoutResult::Repeat,
            FanoutResult::IdReused,
            FanoutResult::IdReused
        ]
    );
    assert_eq!(ledger.value("SELECT count(*) FROM deliveries").await, "1");
    let unfinished = store
        .unfinished_deliveries(&acme, &first.event.id)
        .await
        .unwrap();
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0].id, first.deliveries[0].id);
    assert_eq!(unfinished[0].data, Some(first.event.data));
    assert_eq!(unfinished[0].state.next_number, 1);
}

#[tokio::test]
async fn one_id_twice_in_a_batch_counts_once() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let mut first = fanout_event(&acme, "license.created", b"{}", at(0));
    first
        .deliveries
        .push(new_delivery(&endpoint, pending(at(30)), at(0)));
    let mut repeat = first.clone();
    repeat.deliveries = vec![new_delivery(&endpoint, pending(at(30)), at(0))];
    let mut reused = fanout_event(&acme, "license.created", b"[]", at(0));
    reused.event.id = first.event.id.clone();
    let mut of_other_tenant = first.clone();
    of_other_tenant.event.tenant = tenant("beta");

    let batch = [first, repeat, reused, of_other_tenant];
    let results = ledger.store.insert_fanout(at(0), &batch).await.unwrap();
    let expected = [
        FanoutResult::Inserted,
        FanoutResult::Repeat,
        FanoutResult::IdReused,
        FanoutResult::Inserted,
    ];
    assert_eq!(results, expected);
    assert_eq!(
        ledger
            .value("SELECT count(*) FROM deliveries WHERE tenant = 'acme'")
            .await,
        "1"
    );
}

#[tokio::test]
async fn many_at_once_agree_on_who_inserted_an_event() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let events: Vec<_> = (0..20)
        .map(|_| fanout_event(&acme, "license.created", b"{}", at(0)))
        .collect();
    let writers = (0..6).map(|writer| {
        let mut batch = events.clone();
        batch.rotate_left(writer * 3 % 20);
        for item in &mut batch {
            item.deliveries = vec![new_delivery(&endpoint, pending(at(30)), at(0))];
        }
        let store = ledger.store.clone();
        tokio::spawn(async move { store.insert_fanout(at(0), &batch).await.unwrap() })
    });
    let mut inserted = 0;
    for writer in writers.collect::<Vec<_>>() {
        let results = writer.await.unwrap();
        inserted += results
            .iter()
            .filter(|result| **result == FanoutResult::Inserted)
            .count();
    }
    assert_eq!(inserted, 20);
    assert_eq!(ledger.value("SELECT count(*) FROM deliveries").await, "20");
}

#[tokio::test]
async fn a_batch_with_a_bad_event_stores_nothing_and_the_bad_one_can_be_found() {
    let ledger = Ledger::new().await;
    let acme = tenant("acme");
    let good = fanout_event(&acme, "license.created", b"{}", at(0));
    let not_json = fanout_event(&acme, "license.created", b"{", at(0));
    let mut not_utf8 = good.clone();
    not_utf8.event.id = EventId::parse("x").unwrap();
    not_utf8.event.data = Bytes::from_static(b"\"\xff\"");

    let store = &ledger.store;
    let error = store
        .insert_fanout(at(0), &[good.clone(), not_json.clone()])
        .await
        .unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    assert_eq!(ledger.value("SELECT count(*) FROM events").await, "0");
    assert!(
        !store
            .insert_fanout(at(0), &[not_json])
            .await
            .unwrap_err()
            .is_transient()
    );
    assert!(
        !store
            .insert_fanout(at(0), &[not_utf8])
            .await
            .unwrap_err()
            .is_transient()
    );
    assert!(store.insert_fanout(at(0), &[good]).await.is_ok());
    assert_eq!(store.insert_fanout(at(0), &[]).await.unwrap(), []);
}
