//! What tenants configure, stored and found again.

use serde_json::json;
use signpost_domain::{EndpointStatus, TenantId};
use signpost_store::{
    ApiKey, EndpointSettings, EndpointUpdate, EventTypeSettings, KeyRole, PageRequest,
    ProfileDeletion, Validation,
};

use crate::support::{
    Ledger, at, endpoint_id, event_type, fanout_event, key_id, new_delivery, pending, settings,
    succeeded, tenant,
};

#[tokio::test]
async fn migrations_run_once_whoever_starts_first() {
    let ledger = Ledger::new().await;
    let stores: Vec<_> = (0..4).map(|_| ledger.other(|_| {})).collect();
    let runs = stores
        .into_iter()
        .map(|store| tokio::spawn(async move { store.migrate().await }));
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap().unwrap();
    }
    let info = ledger.store.server_info().await.unwrap();
    assert_eq!(info.migrated_to, info.known_to);
    assert!(!info.version.is_empty());
    ledger.store.ping().await.unwrap();
}

#[tokio::test]
async fn an_empty_database_is_migrated_by_many_at_once() {
    let database = signpost_testkit::database().await.unwrap();
    let runs = (0..4).map(|_| {
        let store = signpost_store::Store::connect(crate::support::config(&database)).unwrap();
        tokio::spawn(async move { store.migrate().await })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn tenants_are_put_found_and_listed() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    assert!(
        store
            .find_tenant(&tenant("default"))
            .await
            .unwrap()
            .is_some()
    );
    let acme = tenant("acme");
    assert!(store.find_tenant(&acme).await.unwrap().is_none());
    store.put_tenant(&acme, Some("Acme"), at(0)).await.unwrap();
    let put = store
        .put_tenant(&acme, Some("Acme Ltd"), at(5))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((put.created_at, put.updated_at), (at(0), at(5)));
    assert_eq!(store.find_tenant(&acme).await.unwrap(), Some(put));
    let first = store.list_tenants(&PageRequest::first(1)).await.unwrap();
    assert_eq!(first.items[0].id, acme);
    let next = PageRequest {
        limit: 1,
        cursor: first.next_cursor,
    };
    let second = store.list_tenants(&next).await.unwrap();
    assert_eq!(
        (second.items[0].id.as_str(), second.next_cursor),
        ("default", None)
    );
}

#[tokio::test]
async fn an_erased_tenant_leaves_nothing_behind() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let (acme, beta) = (ledger.tenant("acme").await, ledger.tenant("beta").await);
    for tenant in [&acme, &beta] {
        let endpoint = ledger.endpoint(tenant).await;
        for second in 0..3 {
            let (_, id) = ledger
                .delivery(tenant, &endpoint, pending(at(30)), at(second))
                .await;
            store
                .settle(&[succeeded(tenant, &id, 1, second)])
                .await
                .unwrap();
        }
    }
    let error = store
        .begin_erasure(&tenant("default"), at(0))
        .await
        .unwrap_err();
    assert_eq!(error.conflict(), Some("tenants_default_stays"));

    assert!(store.begin_erasure(&acme, at(0)).await.unwrap());
    assert!(!store.begin_erasure(&acme, at(1)).await.unwrap());
    assert!(store.find_tenant(&acme).await.unwrap().is_none());
    assert!(store.load_tenant(&acme, at(1)).await.unwrap().is_none());
    assert!(
        store
            .put_tenant(&acme, None, at(1))
            .await
            .unwrap()
            .is_none()
    );
    let (id, settings) = (endpoint_id(), settings());
    let refused = store.insert_endpoint(&acme, &id, &settings, None, at(1));
    assert!(refused.await.unwrap().is_none());
    assert_eq!(store.tenants_being_erased().await.unwrap(), [acme.clone()]);

    while store.erase_step(&acme, at(1), 2).await.unwrap().removed > 0 {}
    // A dispatcher that has not heard of it yet.
    let mut item = fanout_event(&acme, "license.created", b"{}", at(2));
    item.deliveries
        .push(new_delivery(&endpoint_id(), pending(at(30)), at(2)));
    store.insert_fanout(at(2), &[item]).await.unwrap();
    let step = store.erase_step(&acme, at(3), 2).await.unwrap();
    assert_eq!((step.removed, step.is_done), (2, false));
    assert!(
        !store.erase_step(&acme, at(3), 2).await.unwrap().is_done,
        "too early to be sure"
    );
    assert!(store.erase_step(&acme, at(31), 2).await.unwrap().is_done);
    assert!(store.erase_step(&acme, at(31), 2).await.unwrap().is_done);

    let tables = "SELECT table_name FROM information_schema.columns
        WHERE column_name = 'tenant' AND table_schema = 'public'";
    for table in ledger.value(tables).await.lines() {
        let left = format!("SELECT count(*) FROM {table} WHERE tenant = 'acme'");
        assert_eq!(ledger.value(&left).await, "0", "{table}");
    }
    assert_eq!(
        ledger
            .value("SELECT count(*) FROM attempts WHERE tenant = 'beta'")
            .await,
        "3"
    );
    assert!(
        store
            .put_tenant(&acme, None, at(99))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn an_endpoint_keeps_all_its_settings() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = ledger.tenant("acme").await;
    let id = ledger.endpoint(&acme).await;
    let endpoint = store.find_endpoint(&acme, &id).await.unwrap().unwrap();
    assert_eq!(endpoint.settings, settings());
    let keys: Vec<_> = endpoint
        .settings
        .metadata
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys, ["z", "a"], "in the user's order");
    assert_eq!((endpoint.created_at, endpoint.updated_at), (at(0), at(0)));

    let bare = EndpointSettings {
        filter: None,
        retry: None,
        timeout: None,
        rate_limit: None,
        status: EndpointStatus::Paused,
        headers: json!({}),
        metadata: json!({}),
        ..settings()
    };
    let update = store
        .update_endpoint(&acme, &id, &bare, at(0), at(0))
        .await
        .unwrap();
    let EndpointUpdate::Updated(updated) = update else {
        panic!("{update:?}")
    };
    assert_eq!(updated.settings, bare);
    assert!(
        updated.updated_at > at(0),
        "moves on within one microsecond, too"
    );
    let outdated = store
        .update_endpoint(&acme, &id, &settings(), at(0), at(9))
        .await
        .unwrap();
    assert_eq!(outdated, EndpointUpdate::Outdated);
    let missing = store
        .update_endpoint(&acme, &endpoint_id(), &bare, at(0), at(9))
        .await
        .unwrap();
    assert_eq!(missing, EndpointUpdate::Missing);

    let taken = store
        .insert_endpoint(&acme, &id, &settings(), None, at(0))
        .await
        .unwrap_err();
    assert_eq!(taken.conflict(), Some("endpoints_pkey"));
    assert!(!taken.is_transient());
    assert_eq!(store.count_endpoints(&acme).await.unwrap(), 1);
    store.delete_endpoint(&acme, &id, at(9)).await.unwrap();
    assert_eq!(store.count_endpoints(&acme).await.unwrap(), 0);
    assert!(store.find_endpoint(&acme, &id).await.unwrap().is_none());
    assert!(
        store
            .list_endpoints(&acme, &PageRequest::first(9))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(ledger.value("SELECT count(*) FROM secrets").await, "0");
}

#[tokio::test]
async fn keys_are_found_by_their_hash_until_they_are_revoked() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = ledger.tenant("acme").await;
    assert!(!store.has_keys().await.unwrap());
    let key = |role, tenant: Option<&TenantId>| ApiKey {
        id: key_id(),
        role,
        tenant: tenant.cloned(),
        created_at: at(0),
        expires_at: Some(at(99)),
        last_used_at: None,
    };
    let admin = key(KeyRole::Admin, None);
    let portal = key(KeyRole::Portal, Some(&acme));
    assert!(store.insert_key(&admin, &[1; 32]).await.unwrap());
    assert!(store.insert_key(&portal, &[2; 32]).await.unwrap());
    assert!(store.has_keys().await.unwrap());
    let nobody = key(KeyRole::Manager, Some(&tenant("nobody")));
    assert!(!store.insert_key(&nobody, &[3; 32]).await.unwrap());
    let same_hash = store
        .insert_key(&key(KeyRole::Admin, None), &[1; 32])
        .await
        .unwrap_err();
    assert_eq!(same_hash.conflict(), Some("keys_hash_key"));
    let homeless = store
        .insert_key(&key(KeyRole::Portal, None), &[4; 32])
        .await
        .unwrap_err();
    assert_eq!(homeless.conflict(), Some("keys_role_tenant_check"));

    store
        .touch_keys(&[(portal.id.clone(), at(7)), (portal.id.clone(), at(7))])
        .await
        .unwrap();
    store
        .touch_keys(&[(portal.id.clone(), at(3))])
        .await
        .unwrap();
    let found = store.find_key_by_hash(&[2; 32]).await.unwrap().unwrap();
    assert_eq!(
        found,
        ApiKey {
            last_used_at: Some(at(7)),
            ..portal.clone()
        }
    );
    let page = PageRequest::first(9);
    assert_eq!(
        store.list_keys(None, &page).await.unwrap().items,
        [admin.clone()]
    );
    assert_eq!(
        store.list_keys(Some(&acme), &page).await.unwrap().items,
        [found]
    );
    assert!(!store.delete_key(None, &portal.id).await.unwrap());
    assert!(!store.delete_key(Some(&acme), &admin.id).await.unwrap());
    assert!(store.delete_key(Some(&acme), &portal.id).await.unwrap());
    assert!(store.find_key_by_hash(&[2; 32]).await.unwrap().is_none());
}

#[tokio::test]
async fn a_profiles_versions_are_never_changed() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = ledger.tenant("acme").await;
    let (one, two) = (
        json!({"body": "{data}", "a": 1}),
        json!({"body": {"d": "{data}"}}),
    );
    let version = async |document| {
        store
            .put_profile("own", document, at(0))
            .await
            .unwrap()
            .version
    };
    let before = store.profiles_version().await.unwrap();
    assert_eq!(version(&one).await, 1);
    assert_eq!(
        version(&one).await,
        1,
        "the same document is the same version"
    );
    assert_eq!(version(&two).await, 2);
    let directory = store.load_profiles().await.unwrap();
    assert!(directory.version > before);
    assert_eq!(directory.profiles.len(), 1);
    assert_eq!(
        (
            directory.profiles[0].version,
            &directory.profiles[0].document
        ),
        (2, &two)
    );

    let used = EndpointSettings {
        profile: "own".to_owned(),
        ..settings()
    };
    let endpoint = endpoint_id();
    store
        .insert_endpoint(&acme, &endpoint, &used, None, at(0))
        .await
        .unwrap();
    assert_eq!(
        store.delete_profile("own", at(1)).await.unwrap(),
        ProfileDeletion::InUse(1)
    );
    store
        .delete_endpoint(&acme, &endpoint, at(1))
        .await
        .unwrap();
    assert_eq!(
        store.delete_profile("own", at(1)).await.unwrap(),
        ProfileDeletion::Deleted
    );
    assert_eq!(
        store.delete_profile("own", at(1)).await.unwrap(),
        ProfileDeletion::Missing
    );
    assert!(store.find_profile("own").await.unwrap().is_none());
    assert!(store.load_profiles().await.unwrap().profiles.is_empty());
    let old = store.find_profile_version("own", 1).await.unwrap().unwrap();
    assert_eq!(old.document, one, "an old delivery still finds it");
    assert_eq!(version(&two).await, 3);
    assert_eq!(store.find_profile("own").await.unwrap().unwrap().version, 3);
}

#[tokio::test]
async fn event_types_are_imported_replaced_and_listed() {
    let ledger = Ledger::new().await;
    let store = &ledger.store;
    let acme = ledger.tenant("acme").await;
    let described = |name: &str, title: &str| EventTypeSettings {
        event_type: event_type(name),
        name: Some(title.to_owned()),
        description: None,
        schema: Some(json!({"type": "object", "required": ["id"]})),
        validation: Validation::Warn,
    };
    let import = [
        described("b.x", "1"),
        described("a.x", "1"),
        described("b.x", "2"),
    ];
    assert!(store.put_event_types(&acme, &import, at(0)).await.unwrap());
    assert!(
        !store
            .put_event_types(&tenant("nobody"), &import, at(0))
            .await
            .unwrap()
    );
    let replaced = EventTypeSettings {
        schema: None,
        ..described("a.x", "3")
    };
    assert!(
        store
            .put_event_types(&acme, &[replaced.clone()], at(5))
            .await
            .unwrap()
    );
    let found = store
        .find_event_type(&acme, &event_type("a.x"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.created_at, found.updated_at), (at(0), at(5)));
    assert_eq!(found.settings, replaced);

    let first = store
        .list_event_types(&acme, &PageRequest::first(1))
        .await
        .unwrap();
    assert_eq!(first.items, [found]);
    let next = PageRequest {
        limit: 1,
        cursor: first.next_cursor,
    };
    let second = store.list_event_types(&acme, &next).await.unwrap();
    assert_eq!(second.items[0].settings, import[2]);
    assert_eq!(second.next_cursor, None);
    assert!(
        store
            .delete_event_type(&acme, &event_type("a.x"))
            .await
            .unwrap()
    );
    assert!(
        !store
            .delete_event_type(&acme, &event_type("a.x"))
            .await
            .unwrap()
    );
    let directory = store.load_tenant(&acme, at(9)).await.unwrap().unwrap();
    assert_eq!(directory.event_types.len(), 1);
    assert_eq!(
        directory.event_types[0].settings.validation,
        Validation::Warn
    );
}
