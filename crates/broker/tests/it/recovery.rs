//! Brokers that stop, start, run out of memory or vanish, and handles that do.

use std::{collections::BTreeSet, time::Duration};

use signpost_broker::{
    Broker, BrokerConfig, BrokerMetrics, PublishError, PublisherConfig, topology,
};
use signpost_runtime::Lifecycle;
use signpost_testkit::{FaultProxy, PrivateRabbit, scratch_dir, wait_until};
use tokio::time::{Instant, timeout};

use crate::world::{
    PATIENCE, World, config, connect, consume, event, events, id_of, next, publish_events,
    wait_until_publishing,
};

async fn rabbit(name: &str) -> PrivateRabbit {
    let dir = scratch_dir(name).expect("a folder");
    PrivateRabbit::start(dir).await.expect("a broker")
}

async fn publish_at_last(broker: &Broker, id: &str) {
    let publisher = broker.publisher();
    wait_until("it is published", Duration::from_secs(60), async || {
        publisher.publish_confirmed(event(id)).await
    })
    .await;
}

#[tokio::test]
async fn publishers_and_consumers_go_on_after_restarts_and_nothing_confirmed_is_lost() {
    let rabbit = rabbit("recovery").await;
    let broker = connect(&config(&rabbit.url()));
    wait_until_publishing(&broker).await;
    let mut consumer = consume(&broker, topology::EVENTS, 100);
    publish_events(&broker, 50).await;
    next(&mut consumer).await.ack.ack();

    rabbit.restart().await.unwrap();
    let started = Instant::now();
    publish_at_last(&broker, "evt-restarted").await;
    // With the port open, the longest back-off is what remains.
    assert!(started.elapsed() < Duration::from_secs(10));

    rabbit.kill().await.unwrap();
    let result = broker
        .publisher()
        .publish_confirmed(event("evt-lost"))
        .await;
    assert_eq!(result, Err(PublishError::Unavailable));
    rabbit.start_again().await.unwrap();
    publish_at_last(&broker, "evt-killed").await;

    let mut missing: BTreeSet<String> = events(50)
        .map(|publish| publish.properties.message_id().unwrap().to_owned())
        .chain(["evt-restarted".to_owned(), "evt-killed".to_owned()])
        .collect();
    missing.remove("evt-0");
    while !missing.is_empty() {
        let incoming = next(&mut consumer).await;
        missing.remove(&id_of(&incoming));
        incoming.ack.ack();
    }
    assert_eq!(consumer.status().check(), Ok(()));
}

#[tokio::test]
async fn a_service_that_starts_before_its_broker_waits_for_it() {
    let rabbit = rabbit("late").await;
    rabbit.stop().await.unwrap();
    let registry = prometheus::Registry::new();
    let metrics = BrokerMetrics::register(&registry).unwrap();
    let lifecycle = Lifecycle::new();
    let broker = Broker::connect(&config(&rabbit.url()), &lifecycle, Some(metrics.clone()));
    let mut consumer = consume(&broker, topology::EVENTS, 10);
    let result = broker.publisher().publish_confirmed(event("evt-1")).await;
    assert_eq!(result, Err(PublishError::Unavailable));
    assert!(broker.check_publishing().is_err());
    assert!(
        consumer
            .status()
            .check()
            .unwrap_err()
            .contains("signpost.events")
    );
    assert!(
        timeout(Duration::from_millis(50), broker.wait_for_topology())
            .await
            .is_err()
    );
    assert_eq!(metrics.connected.get(), 0);

    rabbit.start_again().await.unwrap();
    timeout(PATIENCE, broker.wait_for_topology())
        .await
        .unwrap()
        .unwrap();
    publish_at_last(&broker, "evt-2").await;
    let incoming = next(&mut consumer).await;
    assert_eq!(id_of(&incoming), "evt-2");
    incoming.ack.ack();
    wait_until("the metric says so", PATIENCE, async || {
        match metrics.connected.get() {
            1 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert!(metrics.publish_confirm_seconds.get_sample_count() >= 1);
    broker.measure_queues(Duration::from_millis(100));
    let queues = metrics.queue_messages.clone();
    publish_at_last(&broker, "evt-3").await;
    next(&mut consumer).await.ack.requeue();
    drop(consumer);
    wait_until("the queue is measured", PATIENCE, async || {
        match queues.with_label_values(&[topology::EVENTS]).get() {
            1 => Ok(()),
            other => Err(other),
        }
    })
    .await;

    // Everything ends.
    broker.close().await;
    lifecycle.stop();
    lifecycle.tracker().close();
    timeout(PATIENCE, lifecycle.tracker().wait()).await.unwrap();
    let result = broker.publisher().publish_confirmed(event("evt-4")).await;
    assert_eq!(result, Err(PublishError::Unavailable));
}

#[tokio::test]
async fn while_the_broker_is_short_of_memory_publishing_fails_fast_and_consuming_goes_on() {
    let rabbit = rabbit("blocked").await;
    let broker = connect(&BrokerConfig {
        publisher: PublisherConfig {
            // As ingest has it.
            confirm_timeout: Duration::from_millis(1500),
            ..PublisherConfig::default()
        },
        ..config(&rabbit.url())
    });
    wait_until_publishing(&broker).await;
    let publisher = broker.publisher();
    for publish in events(100) {
        publisher.publish_within(publish, PATIENCE).await.unwrap();
    }
    let mut consumer = consume(&broker, topology::EVENTS, 10);
    next(&mut consumer).await.ack.ack();

    rabbit
        .rabbitmqctl(&["set_vm_memory_high_watermark", "0.0000001"])
        .await
        .unwrap();
    // The broker tells of it at the next publish only.
    let started = Instant::now();
    let first = publisher.publish_confirmed(event("evt-first")).await;
    assert!(
        matches!(first, Err(PublishError::Blocked | PublishError::TimedOut)),
        "{first:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
    let started = Instant::now();
    let second = publisher.publish_confirmed(event("evt-second")).await;
    assert_eq!(second, Err(PublishError::Blocked));
    assert!(started.elapsed() < Duration::from_millis(1400));
    assert!(broker.check_publishing().unwrap_err().contains("memory"));
    for _ in 0..50 {
        next(&mut consumer).await.ack.ack();
    }
    // Depths too, and new consumers.
    assert!(broker.depth(topology::EVENTS).await.unwrap().is_some());

    rabbit
        .rabbitmqctl(&["set_vm_memory_high_watermark", "0.6"])
        .await
        .unwrap();
    publish_at_last(&broker, "evt-last").await;
    let mut seen = BTreeSet::new();
    while !seen.contains("evt-last") {
        let incoming = next(&mut consumer).await;
        seen.insert(id_of(&incoming));
        incoming.ack.ack();
    }
    assert!(!seen.contains("evt-second"));
}

#[tokio::test]
async fn a_broker_that_vanishes_without_a_word_is_noticed_by_its_missing_heartbeat() {
    let rabbit = rabbit("vanished").await;
    let proxy = FaultProxy::start(([127, 0, 0, 1], rabbit.port()).into())
        .await
        .unwrap();
    let url = proxy.url_through(&rabbit.url()).unwrap();
    let broker = connect(&config(&format!("{url}?heartbeat=1")));
    wait_until_publishing(&broker).await;
    let mut consumer = consume(&broker, topology::EVENTS, 10);
    publish_events(&broker, 1).await;
    next(&mut consumer).await.ack.ack();
    proxy.set_blackhole(true);
    wait_until("the loss is noticed", PATIENCE, async || {
        match (broker.check_publishing(), consumer.status().check()) {
            (Err(_), Err(_)) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    proxy.set_blackhole(false);
    proxy.reset_connections();
    wait_until_publishing(&broker).await;
    publish_at_last(&broker, "evt-after").await;
    let came = async {
        loop {
            let incoming = next(&mut consumer).await;
            let id = id_of(&incoming);
            incoming.ack.ack();
            if id == "evt-after" {
                break;
            }
        }
    };
    timeout(PATIENCE, came).await.unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_ends_tasks_and_connections() {
    let world = World::new().await;
    let lifecycle = Lifecycle::new();
    let broker = Broker::connect(&config(world.vhost.url()), &lifecycle, None);
    let consumer = consume(&broker, topology::EVENTS, 10);
    publish_at_last(&broker, "evt-1").await;
    assert!(broker.depth(topology::EVENTS).await.is_ok());
    let clone = broker.clone();
    drop((broker, consumer));
    publish_at_last(&clone, "evt-2").await;
    drop(clone);
    lifecycle.tracker().close();
    timeout(PATIENCE, lifecycle.tracker().wait()).await.unwrap();
    let open = async || {
        let args = ["list_connections", "vhost"];
        let list = world.vhost.control().rabbitmqctl(&args).await.unwrap();
        list.lines()
            .filter(|vhost| *vhost == world.vhost.name())
            .count()
    };
    // Those of the world itself are left: publishing, and managing where it was used.
    wait_until(
        "the connections are closed",
        PATIENCE,
        async || match open().await {
            1 => Ok(()),
            other => Err(other),
        },
    )
    .await;
}

#[tokio::test]
async fn a_channel_that_the_broker_closes_for_a_slow_ack_is_built_again() {
    let rabbit = rabbit("slow-ack").await;
    let set = "application:set_env(rabbit, consumer_timeout, 300), \
               application:set_env(rabbit, channel_tick_interval, 100).";
    rabbit.control().eval(set).await.unwrap();
    let broker = connect(&config(&rabbit.url()));
    wait_until_publishing(&broker).await;
    publish_events(&broker, 1).await;
    let mut consumer = consume(&broker, topology::EVENTS, 10);
    let held = next(&mut consumer).await;
    // Not acked, so the broker closes the channel and the message comes again on the next one.
    let again = next(&mut consumer).await;
    assert!(again.redelivered);
    assert!(!held.ack.is_live());
    held.ack.ack();
    again.ack.ack();
    wait_until("it is settled for good", PATIENCE, async || {
        match broker.depth(topology::EVENTS).await {
            Ok(Some(depth)) if depth.ready == 0 && consumer.status().check().is_ok() => Ok(()),
            other => Err(other),
        }
    })
    .await;
    // The same connection: publishing went on.
    assert_eq!(broker.check_publishing(), Ok(()));
}

#[tokio::test]
async fn a_consumer_that_the_broker_forgets_in_silence_is_seen_and_built_again() {
    let world = World::new().await;
    let mut consumer = consume(&world.broker, topology::EVENTS, 10);
    publish_events(&world.broker, 1).await;
    next(&mut consumer).await.ack.ack();
    // Connects what asks for depths, which needs all permissions once.
    world.wait_until_ready(topology::EVENTS, 0).await;
    // Nobody tells the channel. It may not consume again, either, so that the loss can be seen.
    let permit = async |read: &str| {
        let args = ["signpost", ".*", ".*", read];
        world.control("set_permissions", &args).await;
    };
    permit("^$").await;
    let forget = format!(
        "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"{}\">>, queue, <<\"{}\">>)), \
         [element(1, ra:process_command(amqqueue:get_pid(Q), rabbit_fifo:make_checkout( \
         {{element(2, C), element(1, C)}}, cancel, #{{}}))) || C <- rabbit_amqqueue:consumers(Q)].",
        world.vhost.name(),
        topology::EVENTS
    );
    let answer = world.vhost.control().eval(&forget).await.unwrap();
    assert_eq!(answer, "[ok]");
    wait_until("the loss is seen", PATIENCE, async || {
        match consumer.status().check() {
            Err(_) => Ok(()),
            Ok(()) => Err("it seems to be well"),
        }
    })
    .await;
    permit(".*").await;
    publish_at_last(&world.broker, "evt-after").await;
    assert_eq!(id_of(&next(&mut consumer).await), "evt-after");
    assert_eq!(consumer.status().check(), Ok(()));
    // The same connection.
    assert_eq!(world.broker.check_publishing(), Ok(()));
}
