//! News of changes, and the directory that they are news of.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use signpost_domain::EndpointStatus;
use signpost_store::{
    ApiKey, Change, EventTypeSettings, KeyRole, Listener, SecretScope, StoreConfig, Validation,
};
use signpost_testkit::FaultProxy;

use crate::support::{Ledger, at, endpoint_id, event_type, key_id, ring, settings};

async fn next(listener: &mut Listener) -> Change {
    tokio::time::timeout(Duration::from_secs(15), listener.next())
        .await
        .expect("a change in time")
}

/// Whether nothing is heard for a moment.
async fn is_quiet(listener: &mut Listener) -> bool {
    tokio::time::timeout(Duration::from_millis(200), listener.next())
        .await
        .is_err()
}

#[tokio::test]
async fn every_change_of_a_tenant_is_heard_once_and_gives_it_a_new_version() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let store = &ledger.store;
    let mut listener = store.listen();
    assert_eq!(next(&mut listener).await, Change::Reconnected);
    let heard = Change::Tenant(acme.clone());
    let version = || async {
        store
            .tenant_versions(std::slice::from_ref(&acme))
            .await
            .unwrap()[&acme]
    };
    let mut last = version().await;

    let endpoint = ledger.endpoint(&acme).await; // with its secret: one transaction, one change
    assert_eq!(next(&mut listener).await, heard);
    assert!(std::mem::replace(&mut last, version().await) < last);

    let status = EndpointStatus::Disabled;
    store
        .set_endpoint_status(&acme, &endpoint, status, Some("410"), at(1))
        .await
        .unwrap();
    assert_eq!(next(&mut listener).await, heard);
    assert!(std::mem::replace(&mut last, version().await) < last);

    let secret = SecretString::from("whsec_1123456789abcdef");
    let scope = SecretScope::Endpoint(&endpoint);
    store
        .rotate_secret(&acme, scope, &secret, Duration::from_secs(60), at(2))
        .await
        .unwrap();
    assert_eq!(next(&mut listener).await, heard);
    assert!(std::mem::replace(&mut last, version().await) < last);

    let described = EventTypeSettings {
        event_type: event_type("license.created"),
        name: None,
        description: None,
        schema: Some(json!({"type": "object"})),
        validation: Validation::Reject,
    };
    assert!(
        store
            .put_event_types(&acme, &[described], at(3))
            .await
            .unwrap()
    );
    assert_eq!(next(&mut listener).await, heard);
    assert!(std::mem::replace(&mut last, version().await) < last);

    store
        .delete_endpoint(&acme, &endpoint, at(4))
        .await
        .unwrap();
    assert_eq!(next(&mut listener).await, heard);
    store
        .put_profile("custom", &json!({"body": "{data}"}), at(5))
        .await
        .unwrap();
    assert_eq!(next(&mut listener).await, Change::Profiles);
    assert!(is_quiet(&mut listener).await);
}

#[tokio::test]
async fn the_directory_holds_what_fan_out_and_attempts_need() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let store = &ledger.store;
    let endpoint = ledger.endpoint(&acme).await;
    let without_secret = endpoint_id();
    store
        .insert_endpoint(&acme, &without_secret, &settings(), None, at(0))
        .await
        .unwrap();
    let gone = ledger.endpoint(&acme).await;
    store.delete_endpoint(&acme, &gone, at(0)).await.unwrap();
    let new = SecretString::from("whsec_1123456789abcdef");
    let scope = SecretScope::Endpoint(&endpoint);
    store
        .rotate_secret(&acme, scope, &new, Duration::from_secs(60), at(0))
        .await
        .unwrap();
    let own = SecretString::from("tenant_secret_0123456789");
    store
        .rotate_secret(&acme, SecretScope::Tenant, &own, Duration::ZERO, at(0))
        .await
        .unwrap();

    let directory = store.load_tenant(&acme, at(1)).await.unwrap().unwrap();
    let versions = store
        .tenant_versions(std::slice::from_ref(&acme))
        .await
        .unwrap();
    assert_eq!(versions[&acme], directory.version);
    let endpoints = store.load_endpoints(&acme, None, 9, at(1)).await.unwrap();
    let ids: Vec<_> = endpoints.iter().map(|e| e.endpoint.id.clone()).collect();
    assert_eq!(ids, [endpoint.clone(), without_secret.clone()]);
    assert_eq!(endpoints[0].endpoint.settings, settings());
    let secrets = endpoints[0].secrets.as_ref().unwrap();
    let texts: Vec<_> = secrets.iter().map(|s| s.secret.expose_secret()).collect();
    assert_eq!(texts, ["whsec_1123456789abcdef", "whsec_0123456789abcdef"]);
    assert_eq!(secrets[1].expires_at, Some(at(60)));
    assert!(endpoints[1].secrets.as_ref().unwrap().is_empty());
    assert_eq!(
        directory.secrets.unwrap()[0].secret.expose_secret(),
        own.expose_secret()
    );

    for (after, expected) in [(None, &endpoint), (Some(&endpoint), &without_secret)] {
        let page = store.load_endpoints(&acme, after, 1, at(1)).await.unwrap();
        let ids: Vec<_> = page.iter().map(|row| &row.endpoint.id).collect();
        assert_eq!(ids, [expected]);
    }
    let rest = store
        .load_endpoints(&acme, Some(&without_secret), 1, at(1))
        .await;
    assert!(rest.unwrap().is_empty());

    let later = store.load_endpoints(&acme, None, 9, at(60)).await.unwrap();
    assert_eq!(
        later[0].secrets.as_ref().unwrap().len(),
        1,
        "the overlap is over"
    );
    assert!(
        store
            .load_tenant(&crate::support::tenant("nobody"), at(1))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn one_unreadable_secret_stops_nobody_else() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let (broken, fine) = (ledger.endpoint(&acme).await, ledger.endpoint(&acme).await);
    let sql = format!(
        "UPDATE secrets SET ciphertext = set_byte(ciphertext, 40, 255 - get_byte(ciphertext, 40))
        WHERE endpoint_id = '{broken}'"
    );
    ledger.value(&sql).await;
    let endpoints = ledger.store.load_endpoints(&acme, None, 9, at(1)).await;
    for endpoint in &endpoints.unwrap() {
        assert_eq!(endpoint.secrets.is_ok(), endpoint.endpoint.id == fine);
    }
}

#[tokio::test]
async fn a_revoked_key_is_heard_of_and_a_new_or_used_one_is_not() {
    let ledger = Ledger::new().await;
    let acme = ledger.tenant("acme").await;
    let store = &ledger.store;
    let mut listener = store.listen();
    assert_eq!(next(&mut listener).await, Change::Reconnected);
    let key = ApiKey {
        id: key_id(),
        role: KeyRole::Publisher,
        tenant: Some(acme.clone()),
        created_at: at(0),
        expires_at: None,
        last_used_at: None,
    };
    assert!(store.insert_key(&key, &[7; 32]).await.unwrap());
    store.touch_keys(&[(key.id.clone(), at(5))]).await.unwrap();
    assert!(is_quiet(&mut listener).await);
    assert!(store.delete_key(Some(&acme), &key.id).await.unwrap());
    assert_eq!(next(&mut listener).await, Change::Key(key.id));
}

#[tokio::test]
async fn a_listener_that_was_cut_off_says_so_and_comes_back() {
    let ledger = Ledger::new().await;
    let mut listener = ledger
        .other(|config| config.application_name = "ears".to_owned())
        .listen();
    assert_eq!(next(&mut listener).await, Change::Reconnected);
    for _ in 0..2 {
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE application_name = 'ears' AND datname = current_database()";
        assert_eq!(ledger.value(kill).await, "1");
        assert_eq!(next(&mut listener).await, Change::Lost);
        assert_eq!(next(&mut listener).await, Change::Reconnected);
    }
    let acme = ledger.tenant("acme").await;
    assert_eq!(next(&mut listener).await, Change::Tenant(acme));
}

#[tokio::test]
async fn a_listener_notices_a_network_that_swallows_everything() {
    let ledger = Ledger::new().await;
    let url = url_parts(ledger.database.url());
    let proxy = FaultProxy::start(url).await.unwrap();
    let through = proxy.url_through(ledger.database.url()).unwrap();
    let store = signpost_store::Store::connect(StoreConfig::new(through, ring("a", 1))).unwrap();
    let mut listener = store.listen();
    assert_eq!(next(&mut listener).await, Change::Reconnected);
    proxy.set_blackhole(true);
    assert_eq!(next(&mut listener).await, Change::Lost);
    proxy.set_blackhole(false);
    assert_eq!(next(&mut listener).await, Change::Reconnected);
}

fn url_parts(url: &str) -> std::net::SocketAddr {
    let host = url
        .rsplit_once('@')
        .unwrap()
        .1
        .split(['/', '?'])
        .next()
        .unwrap();
    host.parse().unwrap()
}
