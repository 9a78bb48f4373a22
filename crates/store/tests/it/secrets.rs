//! Secrets at rest: unreadable in the database, rotated with overlap, moved to new master keys.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use signpost_domain::{EndpointId, TenantId};
use signpost_store::{LiveSecret, SecretError, SecretScope, Store, StoreError};

use crate::support::{Ledger, at, endpoint_id, ring, ring_of_two, tenant};

const DAY: Duration = Duration::from_secs(86_400);

fn texts(secrets: &[LiveSecret]) -> Vec<&str> {
    secrets
        .iter()
        .map(|secret| secret.secret.expose_secret())
        .collect()
}

async fn rotate(
    store: &Store,
    tenant: &TenantId,
    endpoint: &EndpointId,
    secret: &str,
    overlap: Duration,
    second: i64,
) -> Vec<LiveSecret> {
    let secret = SecretString::from(secret);
    let scope = SecretScope::Endpoint(endpoint);
    store
        .rotate_secret(tenant, scope, &secret, overlap, at(second))
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_second_rotation_within_the_overlap_keeps_both() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = ledger.tenant("acme").await;
    let endpoint = ledger.endpoint(&acme).await;
    let scope = SecretScope::Endpoint(&endpoint);
    let first = "whsec_0123456789abcdef";

    let live = rotate(store, &acme, &endpoint, "second", DAY, 0).await;
    assert_eq!(texts(&live), ["second", first]);
    let live = rotate(store, &acme, &endpoint, "third", DAY, 3600).await;
    assert_eq!(texts(&live), ["third", "second", first]);
    let ends: Vec<_> = live.iter().map(|secret| secret.expires_at).collect();
    assert_eq!(ends, [None, Some(at(3600 + 86_400)), Some(at(86_400))]);
    assert_eq!(
        live.iter().map(|s| s.version).collect::<Vec<_>>(),
        [3, 2, 1]
    );

    let live = store.live_secrets(&acme, scope, at(86_400)).await.unwrap();
    assert_eq!(texts(&live), ["third", "second"]);
    assert_eq!(store.delete_expired_secrets(at(86_400)).await.unwrap(), 1);
    let live = rotate(store, &acme, &endpoint, "fourth", Duration::ZERO, 89_000).await;
    assert_eq!(
        texts(&live),
        ["fourth", "second"],
        "an earlier overlap is not cut short"
    );
    let live = store.live_secrets(&acme, scope, at(200_000)).await.unwrap();
    assert_eq!(texts(&live), ["fourth"]);
}

#[tokio::test]
async fn a_tenant_has_a_secret_of_its_own() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = ledger.tenant("acme").await;
    let scope = SecretScope::Tenant;
    assert!(
        store
            .live_secrets(&acme, scope, at(0))
            .await
            .unwrap()
            .is_empty()
    );
    let secret = SecretString::from("own");
    let live = store
        .rotate_secret(&acme, scope, &secret, DAY, at(0))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(texts(&live), ["own"]);
    let nobody = tenant("nobody");
    assert!(
        store
            .rotate_secret(&nobody, scope, &secret, DAY, at(0))
            .await
            .unwrap()
            .is_none()
    );
    let missing = endpoint_id();
    let scope = SecretScope::Endpoint(&missing);
    assert!(
        store
            .rotate_secret(&acme, scope, &secret, DAY, at(0))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn many_rotations_at_once_leave_one_newest() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let endpoint = ledger.endpoint(&acme).await;
    let rotations: Vec<_> = (0..6)
        .map(|n| {
            let (store, acme, endpoint) = (ledger.store.clone(), acme.clone(), endpoint.clone());
            tokio::spawn(async move {
                rotate(&store, &acme, &endpoint, &format!("secret {n}"), DAY, 1).await
            })
        })
        .collect();
    for rotation in rotations {
        assert!(!rotation.await.unwrap().is_empty());
    }
    let scope = SecretScope::Endpoint(&endpoint);
    let live = ledger
        .store
        .live_secrets(&acme, scope, at(2))
        .await
        .unwrap();
    assert_eq!(live.len(), 7);
    assert_eq!(
        live.iter()
            .filter(|secret| secret.expires_at.is_none())
            .count(),
        1
    );
}

#[tokio::test]
async fn the_database_holds_no_readable_secret() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    ledger.endpoint(&acme).await;
    let stored = ledger
        .value("SELECT encode(ciphertext, 'escape') FROM secrets")
        .await;
    assert!(
        !stored.contains("whsec") && !stored.contains("0123456789"),
        "{stored}"
    );
    let debug = format!(
        "{:?} {:?}",
        ledger.store,
        ledger
            .store
            .load_endpoints(&acme, None, 9, at(0))
            .await
            .unwrap()
    );
    assert!(!debug.contains("0123456789"), "{debug}");
}

#[tokio::test]
async fn a_wrong_or_missing_master_key_is_named() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let endpoint = ledger.endpoint(&acme).await;
    ledger.store.check_master_keys().await.unwrap();
    let scope = SecretScope::Endpoint(&endpoint);

    let wrong = ledger.other(|config| config.keys = ring("a", 2));
    let error = wrong.live_secrets(&acme, scope, at(0)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Secret(SecretError::WrongKey { kid }) if kid == "a"));
    assert!(!error.is_transient());
    assert!(wrong.check_master_keys().await.is_err());
    let endpoints = wrong.load_endpoints(&acme, None, 9, at(0)).await.unwrap();
    assert!(endpoints[0].secrets.is_err());

    let missing = ledger.other(|config| config.keys = ring("b", 1));
    let error = missing.check_master_keys().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.contains("\"a\"") && source.contains("SIGNPOST_MASTER_KEYS"),
        "{source}"
    );
}

#[tokio::test]
async fn secrets_move_to_a_new_master_key() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let mut endpoints = Vec::new();
    for _ in 0..3 {
        endpoints.push(ledger.endpoint(&acme).await);
    }
    let both = ledger.other(|config| config.keys = ring_of_two(("b", 2), ("a", 1)));
    assert_eq!(both.reencrypt_secrets(2).await.unwrap(), 2);
    assert_eq!(both.reencrypt_secrets(2).await.unwrap(), 1);
    assert_eq!(both.reencrypt_secrets(2).await.unwrap(), 0);
    let new = ledger.other(|config| config.keys = ring("b", 2));
    new.check_master_keys().await.unwrap();
    for endpoint in &endpoints {
        let scope = SecretScope::Endpoint(endpoint);
        let live = new.live_secrets(&acme, scope, at(0)).await.unwrap();
        assert_eq!(texts(&live), ["whsec_0123456789abcdef"]);
    }
    let wrong = ledger.other(|config| config.keys = ring_of_two(("c", 3), ("b", 9)));
    assert!(matches!(
        wrong.reencrypt_secrets(2).await,
        Err(StoreError::Secret(_))
    ));
    new.check_master_keys().await.unwrap();
}

#[tokio::test]
async fn a_ciphertext_that_is_moved_to_another_row_does_not_open() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let (one, two) = (ledger.endpoint(&acme).await, ledger.endpoint(&acme).await);
    let sql = format!(
        "UPDATE secrets SET ciphertext = (SELECT ciphertext FROM secrets WHERE endpoint_id = '{one}')
        WHERE endpoint_id = '{two}'"
    );
    ledger.value(&sql).await;
    let scope = SecretScope::Endpoint(&two);
    assert!(matches!(
        ledger.store.live_secrets(&acme, scope, at(0)).await,
        Err(StoreError::Secret(SecretError::WrongKey { .. }))
    ));
}
