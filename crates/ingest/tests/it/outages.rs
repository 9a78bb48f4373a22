//! The broker or the database is away.

use std::time::{Duration, Instant};

use serde_json::json;
use signpost_testkit::{FaultProxy, database, vhost, wait_until};

use crate::service::{PATIENCE, Service, config, launch};

const EVENTS: &str = "/v1/tenants/default/events";

/// A service whose connections to the broker and the database can be broken.
struct Broken {
    service: Service,
    broker: FaultProxy,
    database: FaultProxy,
}

async fn start() -> Broken {
    let (database, vhost) = (database().await.unwrap(), vhost().await.unwrap());
    let proxy = async |url: &str| {
        let url: url::Url = url.parse().unwrap();
        let port = url.port().unwrap();
        FaultProxy::start(std::net::SocketAddr::from(([127, 0, 0, 1], port)))
            .await
            .unwrap()
    };
    let (broker_proxy, database_proxy) = (proxy(vhost.url()).await, proxy(database.url()).await);
    let amqp_url = broker_proxy.url_through(vhost.url()).unwrap();
    let database_url = database_proxy.url_through(database.url()).unwrap();
    let config = config(&database_url, &amqp_url, &[]);
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
    Broken {
        service,
        broker: broker_proxy,
        database: database_proxy,
    }
}

fn event() -> serde_json::Value {
    json!({"type": "a.b", "data": {"a": 1}})
}

#[tokio::test]
async fn publishing_answers_503_within_two_seconds_while_the_broker_is_down_and_recovers() {
    let broken = start().await;
    let client = &broken.service.client;
    client.post(EVENTS, &event()).await.expect(202);
    for fault in ["down", "blackhole"] {
        match fault {
            "down" => broken.broker.down(),
            _silent => broken.broker.set_blackhole(true),
        }
        for path in [EVENTS, "/v1/tenants/default/events/batch"] {
            let body = if path == EVENTS {
                event()
            } else {
                json!([event(), event()])
            };
            let begun = Instant::now();
            let reply = client
                .post(path, &body)
                .await
                .expect_error(503, "broker_unavailable");
            let taken = begun.elapsed();
            assert!(taken < Duration::from_secs(2), "{fault} {path}: {taken:?}");
            assert!(reply.header("retry-after").is_some());
        }
        match fault {
            "down" => broken.broker.up().await.unwrap(),
            _silent => broken.broker.set_blackhole(false),
        }
        wait_until(
            "events are taken again",
            PATIENCE * 3,
            async || match client.post(EVENTS, &event()).await {
                reply if reply.status == 202 => Ok(()),
                reply => Err(reply.json),
            },
        )
        .await;
    }
    wait_until(
        "the service is ready again",
        PATIENCE,
        async || match broken.service.admin.get("/readyz").await.status {
            200 => Ok(()),
            status => Err(status),
        },
    )
    .await;
}

#[tokio::test]
async fn publishing_goes_on_while_the_database_is_down() {
    let broken = start().await;
    let client = &broken.service.client;
    let manager = broken.service.tenant("acme").await;
    let publisher = broken.service.key("acme", "publisher").await;
    let events = "/v1/tenants/acme/events";
    wait_until("the key is known", PATIENCE, async || {
        match publisher.post(events, &event()).await {
            reply if reply.status == 202 => Ok(()),
            reply => Err(reply.json),
        }
    })
    .await;
    for fault in ["down", "blackhole"] {
        match fault {
            "down" => broken.database.down(),
            _silent => broken.database.set_blackhole(true),
        }
        for _ in 0..3 {
            let begun = Instant::now();
            // A key that is known, the administrator's, and a tenant that nobody has heard of.
            publisher.post(events, &event()).await.expect(202);
            client.post(events, &event()).await.expect(202);
            client
                .post("/v1/tenants/unheard-of/events", &event())
                .await
                .expect(202);
            let taken = begun.elapsed();
            assert!(taken < Duration::from_secs(3), "{fault}: {taken:?}");
        }
        // A key that is not known can be neither let in nor refused; nonsense can.
        let reply = manager.get("/v1/me").await;
        assert!(
            reply.status == 200 || reply.code() == "database_unavailable",
            "{}",
            reply.json
        );
        client
            .with_key("nonsense")
            .post(events, &event())
            .await
            .expect_error(401, "unauthenticated");
        let begun = Instant::now();
        let reply = client
            .get("/v1/tenants/acme/endpoints")
            .await
            .expect_error(503, "database_unavailable");
        assert!(reply.header("retry-after").is_some());
        assert!(begun.elapsed() < Duration::from_secs(15));
        wait_until(
            "the service says what is missing",
            PATIENCE * 2,
            async || {
                let reply = broken.service.admin.get("/readyz").await;
                assert_eq!(reply.status, 200, "events are accepted");
                let text = String::from_utf8(reply.bytes).unwrap();
                if text.contains("database") {
                    Ok(())
                } else {
                    Err(text)
                }
            },
        )
        .await;
        match fault {
            "down" => broken.database.up().await.unwrap(),
            _silent => broken.database.set_blackhole(false),
        }
        wait_until("the API answers again", PATIENCE * 3, async || match client
            .get("/v1/tenants/acme/endpoints")
            .await
            .status
        {
            200 => Ok(()),
            status => Err(status),
        })
        .await;
        // The database is left alone for a second after it has not answered.
        wait_until(
            "tenants are looked up again",
            PATIENCE,
            async || match client.post("/v1/tenants/unheard-of/events", &event()).await {
                reply if reply.code() == "not_found" => Ok(reply),
                reply => Err(reply.status),
            },
        )
        .await
        .expect_error(404, "not_found");
    }
}

#[tokio::test]
async fn starts_while_both_are_down_and_becomes_ready_when_they_come() {
    let (database, vhost) = (database().await.unwrap(), vhost().await.unwrap());
    let port = |url: &str| -> std::net::SocketAddr {
        let url: url::Url = url.parse().unwrap();
        ([127, 0, 0, 1], url.port().unwrap()).into()
    };
    let broker_proxy = FaultProxy::start(port(vhost.url())).await.unwrap();
    let database_proxy = FaultProxy::start(port(database.url())).await.unwrap();
    broker_proxy.down();
    database_proxy.down();
    let amqp_url = broker_proxy.url_through(vhost.url()).unwrap();
    let database_url = database_proxy.url_through(database.url()).unwrap();
    let (client, admin, running, lifecycle) = launch(&config(&database_url, &amqp_url, &[])).await;
    let service = Service {
        client,
        admin,
        database,
        vhost,
        running,
        lifecycle,
    };
    wait_until("it says what is missing", PATIENCE, async || {
        let reply = service.admin.get("/readyz").await;
        let text = String::from_utf8(reply.bytes).unwrap();
        if text.contains("broker: ") && text.contains("database: ") {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
    service
        .client
        .post(EVENTS, &event())
        .await
        .expect_error(503, "broker_unavailable");
    broker_proxy.up().await.unwrap();
    database_proxy.up().await.unwrap();
    wait_until("it is ready", PATIENCE * 3, async || {
        match service.admin.get("/readyz").await.status {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;
    service.client.post(EVENTS, &event()).await.expect(202);
}

#[tokio::test]
async fn too_much_that_waits_is_a_503() {
    let service = Service::start_with(&["--max-queued-events=3"]).await;
    for _ in 0..3 {
        service.client.post(EVENTS, &event()).await.expect(202);
    }
    wait_until("the backlog is seen", PATIENCE, async || {
        match service.client.post(EVENTS, &event()).await {
            reply if reply.code() == "overloaded" => Ok(reply),
            reply => Err(reply.json),
        }
    })
    .await
    .expect_error(503, "overloaded");
}
