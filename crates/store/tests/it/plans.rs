//! Each list walks down an index: no filter and no cursor makes PostgreSQL read a whole table.

use std::time::Duration;

use chrono::TimeDelta;
use signpost_domain::{DeliveryId, DeliveryStatus, EndpointId, EventId};
use signpost_store::{AttemptClaim, Claim, DeliveryFilter, EventFilter, PageRequest};
use signpost_testkit::wait_until;

use crate::support::{Ledger, at, event_type, tenant};

/// Only a failure waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// 40,000 deliveries of two tenants to a hundred endpoints, one in a hundred of each status but
/// the usual one, and as many events.
const FILL: &str = "
    INSERT INTO events (tenant, id, type, data, occurred_at, created_at, content_hash)
    SELECT 't' || i % 2, 'evt_' || i, 'a.type' || i % 7, '{}', now(), now(), '\\x00'
    FROM generate_series(1, 40000) i;
    INSERT INTO deliveries (tenant, id, event_id, event_type, endpoint_id, status, created_at,
        next_attempt_at, finished_at, profile, profile_version, trigger)
    SELECT 't' || i % 2, 'dlv_' || lpad(i::text, 26, '0'), 'evt_' || i, 'a.type' || i % 7,
        'ep_' || lpad((i % 100)::text, 26, '0'), status, now(),
        CASE status WHEN 'pending' THEN now() END,
        CASE WHEN status NOT IN ('pending', 'held') THEN now() END, 'privato', 0, 'event'
    FROM generate_series(1, 40000) i,
        LATERAL (SELECT CASE i / 7 % 100 WHEN 0 THEN 'pending' WHEN 1 THEN 'failed'
            WHEN 2 THEN 'held' WHEN 3 THEN 'discarded' ELSE 'succeeded' END AS status) s;
    ANALYZE events; ANALYZE deliveries;";

/// How often the two tables were read from end to end, and how many rows indexes gave.
const READS: &str = "
    SELECT sum(seq_scan) || ' ' || sum(idx_tup_fetch) FROM pg_stat_user_tables
    WHERE relname IN ('events', 'deliveries')";

fn delivery_filters() -> Vec<DeliveryFilter> {
    let endpoint = EndpointId::parse(&format!("ep_{:026}", 42)).unwrap();
    let all = DeliveryFilter::default();
    let mut filters = vec![all.clone()];
    for status in [
        DeliveryStatus::Pending,
        DeliveryStatus::Succeeded,
        DeliveryStatus::Failed,
        DeliveryStatus::Held,
        DeliveryStatus::Discarded,
    ] {
        filters.push(DeliveryFilter {
            status: Some(status),
            ..all.clone()
        });
    }
    filters.push(DeliveryFilter {
        event_id: Some(EventId::parse("evt_4711").unwrap()),
        ..all.clone()
    });
    filters.push(DeliveryFilter {
        event_type: Some(event_type("a.type3")),
        ..all.clone()
    });
    filters.push(DeliveryFilter {
        since: Some(at(0)),
        until: Some(at(0) + TimeDelta::days(365_000)),
        ..all
    });
    let of_endpoint = filters.iter().map(|filter| DeliveryFilter {
        endpoint_id: Some(endpoint.clone()),
        ..filter.clone()
    });
    let of_endpoint: Vec<_> = of_endpoint.collect();
    [filters, of_endpoint].concat()
}

#[tokio::test]
async fn no_list_reads_a_whole_table() {
    let ledger = Ledger::new().await;
    ledger.database.psql(FILL).await.unwrap();
    let (before, connected) = (reads(&ledger).await, connections(&ledger).await);
    let reader = ledger.other(|_config| ());
    let mut pages = 0;
    // Often enough that PostgreSQL may settle on a plan that does not know the parameters.
    let (whose, first) = (tenant("t0"), PageRequest::first(20));
    let after = |cursor| PageRequest { limit: 20, cursor };
    for _ in 0..8 {
        for filter in delivery_filters() {
            let page = reader.list_deliveries(&whose, &filter, &first).await;
            let next = after(page.unwrap().next_cursor);
            let page = reader.list_deliveries(&whose, &filter, &next).await;
            page.unwrap();
            pages += 2;
        }
        for wanted in [None, Some(event_type("a.type3"))] {
            let filter = EventFilter {
                event_type: wanted,
                ..EventFilter::default()
            };
            let page = reader.list_events(&whose, &filter, &first).await;
            let next = after(page.unwrap().next_cursor);
            let page = reader.list_events(&whose, &filter, &next).await;
            page.unwrap();
            pages += 2;
        }
    }
    drop(reader);
    until_connections(&ledger, connected).await;
    let after = reads(&ledger).await;
    assert_eq!(after.0, before.0, "a table was read from end to end");
    let rows = after.1 - before.1;
    assert!(rows > 0, "nothing was counted");
    assert!(
        rows / pages < 10_000,
        "{rows} rows were read for {pages} pages"
    );
}

/// Many are pending, but the statistics are of a time when none was.
const BACKLOG: &str = "
    ALTER TABLE deliveries SET (autovacuum_enabled = false);
    UPDATE deliveries SET status = 'succeeded', next_attempt_at = NULL, finished_at = now();
    VACUUM ANALYZE deliveries;
    INSERT INTO deliveries (tenant, id, event_id, event_type, endpoint_id, status, created_at,
        next_attempt_at, profile, profile_version, trigger)
    SELECT 't0', 'dlv_1' || lpad(i::text, 25, '0'), 'evt_new', 'a.type', 'ep_' || lpad('0', 26, '0'),
        'pending', now(), now(), 'privato', 0, 'event'
    FROM generate_series(1, 20000) i;";

/// How often the index of what is due was read.
const DUE_SCANS: &str = "
    SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'deliveries_due_idx'";

#[tokio::test]
async fn deliveries_are_found_by_their_keys_in_a_sudden_backlog() {
    let ledger = Ledger::new().await;
    ledger.database.psql(FILL).await.unwrap();
    // VACUUM takes no company in one command.
    for statement in BACKLOG.split_inclusive(';') {
        ledger.database.psql(statement).await.unwrap();
    }
    let (before, connected) = (ledger.value(DUE_SCANS).await, connections(&ledger).await);
    let writer = ledger.other(|_config| ());
    let whose = tenant("t0");
    let id = |n: u32| DeliveryId::parse(&format!("dlv_1{n:025}")).unwrap();
    for round in 0..8 {
        let ids: Vec<_> = (1..=500).map(|n| id(round * 500 + n)).collect();
        let claims = ids.iter().map(|id| AttemptClaim {
            tenant: whose.clone(),
            delivery_id: id.clone(),
            number: 1,
            instead_of: None,
            lease: Duration::from_secs(9),
        });
        let claims: Vec<_> = claims.collect();
        let far = at(0) + TimeDelta::days(36_500);
        let claimed = writer.claim_attempts(&claims, far).await.unwrap();
        assert!(claimed.iter().all(|claim| *claim == Claim::Ours));
        let deferred = ids.iter().map(|id| (whose.clone(), id.clone(), far));
        writer.defer(&deferred.collect::<Vec<_>>()).await.unwrap();
        let batch: Vec<_> = ids.iter().map(|id| (whose.clone(), id.clone())).collect();
        assert_eq!(writer.hold(&batch[..1], "x").await.unwrap(), 1);
        let ended = writer.fail(&whose, &ids[1], "x", far).await;
        assert!(ended.unwrap());
    }
    drop(writer);
    until_connections(&ledger, connected).await;
    assert_eq!(ledger.value(DUE_SCANS).await, before);
}

/// Until there are no more connections than that: each says what it has read at its end, at the
/// latest.
async fn until_connections(ledger: &Ledger, most: u64) {
    wait_until(
        "the connections have ended",
        PATIENCE,
        async || match connections(ledger).await {
            count if count <= most => Ok(()),
            count => Err(count),
        },
    )
    .await;
}

async fn connections(ledger: &Ledger) -> u64 {
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    ledger.value(others).await.parse().unwrap()
}

async fn reads(ledger: &Ledger) -> (u64, u64) {
    let counts = ledger.value(READS).await;
    let mut counts = counts.split(' ').map(|count| count.parse().unwrap());
    (counts.next().unwrap(), counts.next().unwrap())
}
