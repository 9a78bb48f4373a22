//! How the service starts and stops.

use std::time::{Duration, Instant};

use signpost_ingest::Error;
use signpost_testkit::{database, vhost, wait_until};

use crate::service::{PATIENCE, Service, config, launch};

#[tokio::test]
async fn is_ready_soon_and_shows_the_contract_s_metrics() {
    let (database, vhost) = (database().await.unwrap(), vhost().await.unwrap());
    let config = config(database.url(), vhost.url(), &[]);
    let begun = Instant::now();
    let (client, admin, running, lifecycle) = launch(&config).await;
    let service = Service {
        client,
        admin,
        database,
        vhost,
        running,
        lifecycle,
    };
    service.until_ready().await;
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(5), "it took {taken:?}");
    assert!(service.running.failure().is_none());
    let body = serde_json::json!({"type": "a.b", "data": 1});
    service
        .client
        .post("/v1/tenants/default/events", &body)
        .await
        .expect(202);
    let bad = serde_json::json!({"type": "a..b", "data": 1});
    service
        .client
        .post("/v1/tenants/default/events", &bad)
        .await
        .expect(422);
    let metrics = service.admin.get("/metrics").await.expect(200);
    let text = String::from_utf8(metrics.bytes).unwrap();
    for line in [
        "signpost_events_accepted_total{source=\"http\"} 1",
        "signpost_events_rejected_total{reason=\"validation_failed\"} 1",
        "signpost_publish_confirm_seconds_count 1",
        "signpost_broker_connected 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn refuses_to_start_when_nobody_could_use_it() {
    let (database, vhost) = (database().await.unwrap(), vhost().await.unwrap());
    let config = config(database.url(), vhost.url(), &["--admin-key="]);
    let (_client, _admin, running, _lifecycle) = launch(&config).await;
    wait_until("it gives up", PATIENCE, async || {
        running.failure().is_some().then_some(()).ok_or(())
    })
    .await;
    let failure = running.failure().unwrap();
    assert!(matches!(failure, Error::NoKeys) && failure.exit_code() == 2);
    assert!(failure.to_string().contains("SIGNPOST_ADMIN_KEY"));
}

#[tokio::test]
async fn starts_without_an_administrator_s_key_when_one_is_stored() {
    let first = Service::start().await;
    let admin = first.key("default", "admin").await;
    let config = config(first.database.url(), first.vhost.url(), &["--admin-key="]);
    let (client, ready, _running, lifecycle) = launch(&config).await;
    wait_until("it is ready", PATIENCE, async || {
        match ready.get("/readyz").await.status {
            200 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    client
        .with_key(admin.key.as_ref().unwrap())
        .get("/v1/tenants")
        .await
        .expect(200);
    client
        .get("/v1/tenants")
        .await
        .expect_error(401, "unauthenticated");
    lifecycle.stop();
}

#[tokio::test]
async fn answers_what_has_begun_before_it_stops() {
    let service = Service::start().await;
    let body = serde_json::json!({"type": "a.b", "data": 1});
    let client = service.client.clone();
    let sending = tokio::spawn(async move {
        let mut accepted = 0;
        // Until the service takes no more connections.
        while tokio::net::TcpStream::connect(client.address).await.is_ok() {
            client
                .post("/v1/tenants/default/events", &body)
                .await
                .expect(202);
            accepted += 1;
        }
        accepted
    });
    let path = "/metrics";
    wait_until("events flow", PATIENCE, async || {
        let text = String::from_utf8(service.admin.get(path).await.bytes).unwrap();
        if text.contains("accepted_total{source=\"http\"} 0") {
            Err(text)
        } else {
            Ok(())
        }
    })
    .await;
    service.lifecycle.stop();
    service.lifecycle.tracker().close();
    tokio::time::timeout(PATIENCE, service.lifecycle.tracker().wait())
        .await
        .unwrap();
    // The task may end by a refused connection between its look and its request.
    drop(sending.await);
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_stop() {
    let service = Service::start().await;
    let address = service.client.address;
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut kept = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut kept, request)
        .await
        .unwrap();
    let mut first = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut kept, &mut first)
        .await
        .unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let begun = Instant::now();
    service.lifecycle.stop();
    service.lifecycle.tracker().close();
    tokio::time::timeout(PATIENCE, service.lifecycle.tracker().wait())
        .await
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8));
    drop((silent, kept));
}
