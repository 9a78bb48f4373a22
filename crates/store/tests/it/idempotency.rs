//! A write that is repeated under its key gets the first one's answer.

use signpost_domain::TenantId;
use signpost_store::{Idempotency, IdempotentRequest, StoreError};

use crate::support::{Ledger, at, ring, tenant};

fn request<'a>(tenant: Option<&'a TenantId>, hash: &'a [u8; 32]) -> IdempotentRequest<'a> {
    IdempotentRequest {
        tenant,
        route: "POST /v1/tenants/acme/endpoints",
        key: "k1",
        hash,
    }
}

#[tokio::test]
async fn a_repeat_gets_the_same_answer_and_another_body_is_refused() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = tenant("acme");
    let first = request(Some(&acme), &[1; 32]);
    let begin = async |request, second| store.begin_request(request, at(second)).await.unwrap();
    assert_eq!(begin(first, 0).await, Idempotency::Act);
    assert_eq!(begin(first, 1).await, Idempotency::InProgress);
    store
        .finish_request(first, 201, b"{\"secret\":\"whsec_1\"}")
        .await
        .unwrap();
    let answer = Idempotency::Answer {
        status: 201,
        body: b"{\"secret\":\"whsec_1\"}".to_vec(),
    };
    assert_eq!(begin(first, 2).await, answer);
    assert_eq!(
        begin(request(Some(&acme), &[2; 32]), 3).await,
        Idempotency::KeyReused
    );
    assert_eq!(
        begin(request(None, &[2; 32]), 3).await,
        Idempotency::Act,
        "another tenant's"
    );
    let elsewhere = IdempotentRequest {
        route: "POST /v1/other",
        ..first
    };
    assert_eq!(begin(elsewhere, 3).await, Idempotency::Act);

    let stored = ledger
        .value("SELECT encode(body, 'escape') FROM idempotency_keys")
        .await;
    assert!(!stored.contains("whsec_1"), "{stored}");
    let wrong = ledger.other(|config| config.keys = ring("a", 9));
    let error = wrong.begin_request(first, at(4)).await.unwrap_err();
    assert!(matches!(error, StoreError::Secret(_)));
}

#[tokio::test]
async fn a_request_that_came_to_nothing_can_be_made_again() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let first = request(None, &[1; 32]);
    let begin = async |second| store.begin_request(first, at(second)).await.unwrap();
    assert_eq!(begin(0).await, Idempotency::Act);
    store.forget_request(first).await.unwrap();
    assert_eq!(begin(1).await, Idempotency::Act);
    // Its process died: after a while somebody else may take it over, once.
    assert_eq!(begin(61).await, Idempotency::InProgress);
    assert_eq!(begin(62).await, Idempotency::Act);
    assert_eq!(begin(63).await, Idempotency::InProgress);
    store.finish_request(first, 204, b"").await.unwrap();
    assert_eq!(
        begin(200).await,
        Idempotency::Answer {
            status: 204,
            body: Vec::new()
        }
    );
    store.forget_request(first).await.unwrap();
    assert_ne!(
        begin(201).await,
        Idempotency::Act,
        "an answer is not forgotten"
    );

    assert_eq!(
        store
            .delete_idempotency_keys_step(at(62), 9)
            .await
            .unwrap()
            .rows,
        0
    );
    assert_eq!(
        store
            .delete_idempotency_keys_step(at(63), 9)
            .await
            .unwrap()
            .rows,
        1
    );
    assert_eq!(begin(300).await, Idempotency::Act);
}

#[tokio::test]
async fn of_many_at_once_one_acts() {
    let ledger = Ledger::new().await;
    let begins: Vec<_> = (0..8)
        .map(|_| {
            let store = ledger.store.clone();
            tokio::spawn(async move { store.begin_request(request(None, &[1; 32]), at(0)).await })
        })
        .collect();
    let mut acting = 0;
    for begin in begins {
        acting += usize::from(begin.await.unwrap().unwrap() == Idempotency::Act);
    }
    assert_eq!(acting, 1);
}
