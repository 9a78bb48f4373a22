//! `signpost doctor` and `secrets reencrypt` against a real broker and a real database.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use signpost_broker::{Broker, BrokerConfig, BrokerUrl};
use signpost_cli::config::Environment;
use signpost_cli::error::Exit;
use signpost_cli::output::Output;
use signpost_domain::{Clock as _, EndpointId, EndpointStatus, SystemClock, TenantId};
use signpost_runtime::Lifecycle;
use signpost_store::{EndpointSettings, KeyRing, Store, StoreConfig};
use signpost_testkit::{Receiver, Reply, database, vhost};

use crate::support::{Done, json as answer};

async fn run(args: &[&str], env: Environment) -> Done {
    let (mut output, captured) = Output::captured();
    let args = std::iter::once("signpost").chain(args.iter().copied());
    let exit = signpost_cli::run(args, &env, &mut output, Arc::new(SystemClock)).await;
    Done {
        exit,
        stdout: captured.stdout(),
        stderr: captured.stderr(),
    }
}

/// The state of each check, by the first word of what was looked at, or the first two.
fn states(stdout: &str) -> Map<String, Value> {
    let all: Value = serde_json::from_str(stdout).unwrap();
    let checks = all["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            let what = check["what"].as_str().unwrap();
            let what = what
                .split(" http")
                .next()
                .unwrap()
                .split(" amqp")
                .next()
                .unwrap();
            (what.to_owned(), check["state"].clone())
        })
        .collect()
}

/// A service that is ready, and an API that knows the key.
async fn healthy_api() -> Receiver {
    let receiver = Receiver::start().await.unwrap();
    receiver.answer_with(|request| match request.path.as_str() {
        "/v1/me" => answer(r#"{"role":"admin","tenant":null,"key_id":null}"#)
            .header("date", &SystemClock.now().to_rfc2822()),
        "/readyz" => Reply::status(200),
        _ => Reply::status(404),
    });
    receiver
}

#[tokio::test]
async fn doctor_says_what_is_missing_and_then_that_all_is_well() {
    let (database, vhost) = (database().await.unwrap(), vhost().await.unwrap());
    let api = healthy_api().await;
    let args = [
        "doctor",
        "--json",
        "--server",
        &api.url(),
        "--key",
        "key",
        "--admin",
        &api.url(),
        "--amqp",
        vhost.url(),
        "--database",
        database.url(),
    ]
    .map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();

    let before = run(&args, Environment::default()).await;
    assert_eq!(before.exit, Exit::Failure);
    let found = states(&before.stdout);
    assert_eq!(found["API"], "ok", "{}", before.stdout);
    assert_eq!(found["broker"], "ok");
    assert_eq!(found["broker topology"], "bad");
    assert_eq!(found["database schema"], "bad");

    let config = BrokerConfig::new(BrokerUrl::parse(vhost.url()).unwrap(), "test");
    let broker = Broker::connect(&config, &Lifecycle::new(), None);
    broker.wait_for_topology().await.unwrap();
    store(database.url(), "a").migrate().await.unwrap();

    let keys = ring("a");
    let after = run(
        &args,
        Environment::of([("SIGNPOST_MASTER_KEYS", keys.as_str())]),
    )
    .await;
    let found = states(&after.stdout);
    for what in [
        "API",
        "API clock",
        "service at",
        "broker",
        "broker topology",
        "broker alarms",
        "database",
        "database schema",
        "database clock",
        "master keys",
    ] {
        assert_eq!(found[what], "ok", "{what}: {}", after.stdout);
    }
    assert_eq!(
        found["queue signpost.events"], "bad",
        "no dispatcher consumes"
    );
    assert!(!after.stdout.contains(&keys) && !after.stdout.contains("guest:guest"));
    broker.close().await;
}

#[tokio::test]
async fn doctor_names_a_broker_and_a_database_that_are_not_there() {
    let port = signpost_testkit::free_port().unwrap();
    let amqp = format!("amqp://me:hush-hush@127.0.0.1:{port}/%2f");
    let database = format!("postgres://me:hush-hush@127.0.0.1:{port}/none");
    let admin = format!("http://127.0.0.1:{port}");
    let args = [
        "doctor",
        "--server",
        &admin,
        "--admin",
        &admin,
        "--amqp",
        &amqp,
        "--database",
        &database,
    ];
    let done = run(&args, Environment::default()).await;
    assert_eq!(done.exit, Exit::Failure);
    for advice in [
        "start RabbitMQ",
        "start PostgreSQL",
        "start the service",
        "start signpost-ingest",
    ] {
        assert!(done.stdout.contains(advice), "{advice}: {}", done.stdout);
    }
    assert!(!done.stdout.contains("hush-hush"), "{}", done.stdout);
}

#[tokio::test]
async fn reencrypting_frees_the_old_master_key() {
    let database = database().await.unwrap();
    let old = store(database.url(), "a");
    old.migrate().await.unwrap();
    let tenant = TenantId::parse("default").unwrap();
    let now = SystemClock.now();
    let id = EndpointId::generate(now, [7; 10]);
    let settings = EndpointSettings {
        name: "a".to_owned(),
        url: "https://example.com/".to_owned(),
        events: vec!["*".to_owned()],
        filter: None,
        profile: "privato".to_owned(),
        status: EndpointStatus::Active,
        headers: json!({}),
        retry: None,
        timeout: None,
        rate_limit: None,
        metadata: json!({}),
    };
    let secret = SecretString::from("0123456789abcdef");
    old.insert_endpoint(&tenant, &id, &settings, Some(&secret), now)
        .await
        .unwrap()
        .unwrap();

    let args = [
        "secrets",
        "reencrypt",
        "--database",
        database.url(),
        "--json",
    ];
    let both = format!("{},{}", ring("b"), ring("a"));
    let done = run(
        &args,
        Environment::of([("SIGNPOST_MASTER_KEYS", both.as_str())]),
    )
    .await;
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(said, json!({"reencrypted": 1, "key": "b"}));

    store(database.url(), "b")
        .check_master_keys()
        .await
        .unwrap();
    assert!(old.check_master_keys().await.is_err());
    let without = run(&args, Environment::default()).await;
    assert_eq!(without.exit, Exit::Usage);
}

/// A key ring of one key, which depends on the name only.
fn ring(kid: &str) -> String {
    let key = [kid.as_bytes()[0]; 32];
    format!("{kid}:{}", STANDARD.encode(key))
}

fn store(url: &str, kid: &str) -> Store {
    Store::connect(StoreConfig::new(url, KeyRing::parse(&ring(kid)).unwrap())).unwrap()
}
