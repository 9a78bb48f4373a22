//! When the database misbehaves: every call ends in time, and says whether to try again.

use std::time::{Duration, Instant};

use signpost_store::{Store, StoreConfig};
use signpost_testkit::{FaultProxy, wait_until};

use crate::support::{Ledger, at, endpoint_id, fanout_event, pending, ring, succeeded, tenant};

/// A store that reaches the ledger's database through a proxy.
async fn through_proxy(
    ledger: &Ledger,
    change: impl FnOnce(&mut StoreConfig),
) -> (FaultProxy, Store) {
    let url = ledger.database.url();
    let address = url
        .rsplit_once('@')
        .unwrap()
        .1
        .split(['/', '?'])
        .next()
        .unwrap();
    let proxy = FaultProxy::start(address.parse().unwrap()).await.unwrap();
    let mut config = StoreConfig::new(proxy.url_through(url).unwrap(), ring("a", 1));
    change(&mut config);
    (proxy, Store::connect(config).unwrap())
}

#[tokio::test]
async fn a_store_opens_while_the_database_is_down_and_works_once_it_is_up() {
    let ledger = Ledger::new().await;
    let (proxy, store) = through_proxy(&ledger, |_| {}).await;
    proxy.down();
    let started = Instant::now();
    let error = store.ping().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(store.migrate().await.unwrap_err().is_transient());
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    proxy.up().await.unwrap();
    wait_until("the store works", Duration::from_secs(5), async || {
        store.ping().await
    })
    .await;
}

#[tokio::test]
async fn bad_urls_and_strangers_are_told_apart() {
    let ledger = Ledger::new().await;
    for bad in ["", "http://x", "postgres://h:port/x"] {
        let error = Store::connect(StoreConfig::new(bad, ring("a", 1))).expect_err(bad);
        assert!(!error.is_transient(), "{bad}");
    }
    let nobody = ledger
        .database
        .url()
        .replace(ledger.database.name(), "no_such_database");
    let store = Store::connect(StoreConfig::new(nobody, ring("a", 1))).unwrap();
    // The operator's mistake, not a message's: nothing may be given up for it.
    assert!(store.ping().await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_killed_backend_costs_one_try() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let victim = ledger.other(|config| {
        config.application_name = "victim".to_owned();
        config.max_connections = 1;
    });
    victim.ping().await.unwrap();
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'victim' AND datname = current_database()";
    assert_eq!(ledger.value(kill).await, "1");
    let mut failures = 0;
    let settlement = [succeeded(&acme, &delivery, 1, 1)];
    while let Err(error) = victim.settle(&settlement).await {
        assert!(error.is_transient(), "{error:?}");
        failures += 1;
        assert!(failures < 3);
    }
    assert_eq!(ledger.value("SELECT count(*) FROM attempts").await, "1");
}

#[tokio::test]
async fn a_locked_table_is_waited_for_only_so_long() {
    let ledger = Ledger::new().await;
    let (acme, endpoint) = (tenant("acme"), endpoint_id());
    let (_, delivery) = ledger
        .delivery(&acme, &endpoint, pending(at(30)), at(0))
        .await;
    let impatient = ledger.other(|config| config.lock_timeout = Duration::from_millis(100));
    let url = ledger.database.url().to_owned();
    let lock = "BEGIN; LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE;
        SELECT pg_advisory_lock(42); SELECT pg_sleep(20); COMMIT;";
    let mut locker = tokio::process::Command::new("psql")
        .args([&url, "-c", lock])
        .kill_on_drop(true)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the table is locked", Duration::from_secs(5), async || {
        let held = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE locktype = 'advisory' AND granted AND datname = current_database()";
        match ledger.value(held).await.as_str() {
            "0" => Err("not locked"),
            _ => Ok(()),
        }
    })
    .await;
    let started = Instant::now();
    let error = impatient
        .settle(&[succeeded(&acme, &delivery, 1, 1)])
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    let slow = ledger.other(|config| config.statement_timeout = Duration::from_millis(100));
    assert!(
        slow.find_delivery(&acme, &delivery)
            .await
            .unwrap_err()
            .is_transient()
    );
    ledger
        .value("SELECT pg_terminate_backend(pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE locktype = 'advisory' AND datname = current_database()")
        .await;
    locker.wait().await.unwrap();
    assert!(
        impatient
            .settle(&[succeeded(&acme, &delivery, 1, 1)])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_read_only_server_is_a_server_that_is_down() {
    let ledger = Ledger::new().await;
    let url = format!(
        "{}?options=-c%20default_transaction_read_only%3Don",
        ledger.database.url()
    );
    let store = Store::connect(StoreConfig::new(url, ring("a", 1))).unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let event = fanout_event(&tenant("acme"), "license.created", b"{}", at(0));
    let error = store.insert_fanout(at(0), &[event]).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_may_only_read_is_not_used_again() {
    let ledger = Ledger::new().await;
    let name = ledger.database.name();
    let rule = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    ledger.value(&rule).await;
    let store = ledger.other(|config| config.max_connections = 1);
    assert!(store.note_probe(at(0)).await.is_err());
    // Sessions keep what they began with.
    let no_rule = format!("ALTER DATABASE {name} RESET default_transaction_read_only");
    ledger
        .value(&format!("BEGIN READ WRITE; {no_rule}; COMMIT"))
        .await;
    store.note_probe(at(0)).await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_missing_table_may_come_with_a_migration() {
    let ledger = Ledger::new().await;
    ledger.value("ALTER TABLE keys RENAME TO keys_away").await;
    assert!(ledger.store.has_keys().await.unwrap_err().is_transient());
    ledger.value("ALTER TABLE keys_away RENAME TO keys").await;
    assert!(!ledger.store.has_keys().await.unwrap());
}

#[tokio::test]
async fn a_silent_network_is_given_up_and_its_connections_are_not_used_again() {
    let ledger = Ledger::new().await;
    let (proxy, store) = through_proxy(&ledger, |config| {
        config.max_connections = 2;
        config.acquire_timeout = Duration::from_millis(200);
        config.statement_timeout = Duration::from_millis(300);
    })
    .await;
    store.ping().await.unwrap();
    proxy.set_blackhole(true);
    for _ in 0..4 {
        let started = Instant::now();
        assert!(store.has_keys().await.unwrap_err().is_transient());
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            started.elapsed()
        );
    }
    proxy.reset_connections();
    proxy.set_blackhole(false);
    wait_until("the store works", Duration::from_secs(5), async || {
        store.has_keys().await
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_stops_waiting_leaves_no_broken_connection_behind() {
    let ledger = Ledger::new().await;
    let store = ledger.other(|config| config.max_connections = 1);
    let acme = tenant("acme");
    for n in 0..30 {
        let patience = Duration::from_micros(n * 100);
        let cut_off = tokio::time::timeout(patience, store.load_tenant(&acme, at(0))).await;
        drop(cut_off);
        assert!(
            store
                .find_tenant(&tenant("default"))
                .await
                .unwrap()
                .is_some()
        );
    }
}
