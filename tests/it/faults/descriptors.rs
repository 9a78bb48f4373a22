//! Processes that may open no further files or sockets.

use std::{collections::HashSet, fs, process::Command, time::Duration};

use serde_json::json;
use signpost_testkit::{Reply, wait_until};

use super::publish;
use crate::world::{PATIENCE, Plan, Process, World};

/// How many a process has open.
fn open_descriptors(process: &Process) -> usize {
    let folder = format!("/proc/{}/fd", process.pid());
    fs::read_dir(folder).unwrap().count()
}

/// Sets the soft limit of a running process.
fn allow_descriptors(process: &Process, limit: usize) {
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--pid={}", process.pid()));
    prlimit.arg(format!("--nofile={limit}:"));
    assert!(prlimit.status().unwrap().success());
}

#[tokio::test]
async fn without_file_descriptors_work_is_put_off_and_goes_on_when_there_are_some() {
    let mut world = World::start(Plan {
        time_scale: 0.1,
        ..Plan::default()
    })
    .await;
    world.tenant("acme").await;
    world.endpoint("acme", "/hook", json!({})).await;
    publish(&world, 0, 5).await;
    world.until_deliveries("acme", "", &["succeeded"], 5).await;

    // The dispatcher cannot connect: many at once need more than the connections it has.
    let dispatcher = &world.dispatchers[0];
    let slowly = |_: &_| Reply::status(200).after(Duration::from_millis(200));
    world.receiver.answer_with(slowly);
    allow_descriptors(dispatcher, open_descriptors(dispatcher));
    publish(&world, 5, 20).await;
    let deferred = "signpost_deliveries_deferred_total{reason=\"own_fault\"}";
    // Its metrics cannot be asked for, either, but its ledger can: not all are done.
    let done = "SELECT count(*) FILTER (WHERE status = 'succeeded') FROM deliveries";
    let put_off = "SELECT count(*) FROM deliveries WHERE status = 'pending' AND attempt_count = 0";
    wait_until("some are put off", PATIENCE, async || {
        let (done, put_off) = (world.sql(done).await, world.sql(put_off).await);
        if put_off == "0" { Err(done) } else { Ok(()) }
    })
    .await;
    allow_descriptors(dispatcher, 1024);
    let deliveries = world.until_deliveries("acme", "", &["succeeded"], 25).await;
    for delivery in deliveries {
        assert_eq!(delivery["attempt_count"], 1, "no attempt was used up");
    }
    assert!(dispatcher.metric(deferred).await > 0);
    assert_eq!(world.receiver.received_on("/hook").len(), 25);

    // Ingest cannot accept; who asks waits, and is answered when it can.
    let ingest = &world.ingest;
    allow_descriptors(ingest, open_descriptors(ingest));
    let events: Vec<_> = (25..30)
        .map(|n| {
            let api = world.api.clone();
            let event = json!({"id": format!("event-{n}"), "type": "a.b", "data": {"n": n}});
            tokio::spawn(async move {
                let body = Some(event.to_string().into());
                let path = "/v1/tenants/acme/events";
                api.try_send(http::Method::POST, path, body).await
            })
        })
        .collect();
    wait_until("ingest meets its limit", PATIENCE, async || {
        match ingest.log_end() {
            log if log.contains("cannot accept connections") => Ok(()),
            log => Err(log),
        }
    })
    .await;
    allow_descriptors(ingest, 1024);
    for event in events {
        let answer = event.await.unwrap().unwrap();
        assert_eq!(answer.status, 202);
    }
    world.until_deliveries("acme", "", &["succeeded"], 30).await;
    let requests = world.receiver.received_on("/hook");
    let ids: HashSet<_> = requests.iter().map(|r| r.header("webhook-id")).collect();
    assert_eq!((requests.len(), ids.len()), (30, 30));
    assert!(!world.ingest.has_ended() && !world.dispatchers[0].has_ended());
}
