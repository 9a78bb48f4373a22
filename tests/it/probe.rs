//! The probe that goes the whole way: its age says whether deliveries get through, and nobody else
//! sees it.

use serde_json::json;
use signpost_testkit::{Database, database, wait_until};

use crate::world::{PATIENCE, Plan, World};

const AGE: &str = "signpost_e2e_delivery_age_seconds";

async fn world(database: &Database, probe_every: &str) -> World {
    World::start(Plan {
        database_url: Some(database.url().to_owned()),
        variables: vec![("SIGNPOST_PROBE_EVERY", probe_every.to_owned())],
        ..Plan::default()
    })
    .await
}

async fn until_arrived(database: &Database) {
    wait_until("a probe has arrived", PATIENCE, async || {
        match database.psql("SELECT count(*) FROM probe").await {
            Ok(count) if count.trim() == "1" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn until_age(world: &World, is_wanted: impl Fn(f64) -> bool) {
    wait_until("the age is as wanted", PATIENCE, async || {
        let age = world.dispatchers[0].gauge(AGE).await;
        if is_wanted(age) { Ok(()) } else { Err(age) }
    })
    .await;
}

#[tokio::test]
async fn its_age_grows_while_none_arrives_and_falls_when_they_do_again() {
    let database = database().await.unwrap();
    let world = world(&database, "1s").await;
    until_arrived(&database).await;
    until_age(&world, |age| age < 5.0).await;
    // The last station is away: what is published does not arrive.
    let away = "ALTER TABLE probe RENAME TO probe_away";
    database.psql(away).await.unwrap();
    until_age(&world, |age| age > 6.0).await;
    let back = "ALTER TABLE probe_away RENAME TO probe";
    database.psql(back).await.unwrap();
    until_age(&world, |age| age < 5.0).await;
}

#[tokio::test]
async fn nobody_sees_it_but_the_operator() {
    let database = database().await.unwrap();
    let world = world(&database, "1s").await;
    world.tenant("acme").await;
    world
        .endpoint("acme", "/all", json!({"events": ["*"]}))
        .await;
    until_arrived(&database).await;
    // Behind probes that are published later, all of this one's way is over.
    let first = "SELECT sent_at FROM probe";
    let first = database.psql(first).await.unwrap();
    wait_until("a later one has arrived", PATIENCE, async || {
        let later = format!("SELECT sent_at > '{}' FROM probe", first.trim());
        match database.psql(&later).await.unwrap().trim() {
            "t" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    let ledger = "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM deliveries)
        + (SELECT count(*) FROM attempts)";
    assert_eq!(database.psql(ledger).await.unwrap().trim(), "0");
    assert_eq!(world.receiver.count(), 0);
    let tenants = world.api.get("/v1/tenants").await.expect(&[200]).json();
    let mut names: Vec<_> = tenants["items"].as_array().unwrap().iter().collect();
    names.retain(|tenant| tenant["id"] != "acme" && tenant["id"] != "default");
    assert!(names.is_empty(), "{names:?}");
    let rejected = world.api.get("/v1/rejected").await.expect(&[200]).json();
    assert_eq!(rejected["items"], json!([]));
    let dispatcher = &world.dispatchers[0];
    for series in [
        "signpost_events_accepted_total{source=\"amqp\"}",
        "signpost_fanout_deliveries_total",
        "signpost_attempts_total{outcome=\"succeeded\"}",
    ] {
        assert_eq!(dispatcher.metric(series).await, 0, "{series}");
    }
}

#[tokio::test]
async fn switched_off_there_is_no_metric_that_could_alarm() {
    let database = database().await.unwrap();
    let world = world(&database, "off").await;
    let metrics = world.dispatchers[0].admin().get("/metrics").await;
    let text = String::from_utf8(metrics.expect(&[200]).body.to_vec()).unwrap();
    assert!(!text.contains(AGE), "{text}");
}
