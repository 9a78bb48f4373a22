//! Measures publishing and consuming on a real broker, for the choices made in this crate.
//!
//! `cargo run --release -p signpost-broker --example throughput -- amqp://…/VHOST [MESSAGES]`
//!
//! The vhost is filled and emptied: use one of its own.
#![expect(
    clippy::print_stdout,
    reason = "a tool for developers prints its figures"
)]

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use deadpool_lapin::{Manager, Pool};
use futures::{StreamExt, future::try_join_all, stream};
use lapin::{
    BasicProperties, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use signpost_broker::{
    Broker, BrokerConfig, BrokerUrl, ConsumerConfig, Properties, Publish, PublisherConfig, topology,
};
use signpost_runtime::Lifecycle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const BODY: usize = 1024;
const TASKS: usize = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let url = args.next().context("usage: throughput URL [MESSAGES]")?;
    let count: usize = args.next().map_or(Ok(40_000), |text| text.parse())?;
    for in_flight in [1, 100, 1000] {
        for channels in [1, 2, 4] {
            let count = if in_flight == 1 { count / 20 } else { count };
            publish(&url, channels, in_flight, count).await?;
        }
    }
    checkout_per_publish(&url, 100, count / 20).await?;
    for prefetch in [100, 1000] {
        let filled = publish(&url, 2, 1000, count).await?;
        consume(&filled, prefetch, count).await?;
    }
    both(&url, count).await
}

async fn connect(url: &str, channels: usize) -> Result<Broker> {
    let config = BrokerConfig {
        publisher: PublisherConfig {
            channels,
            confirm_timeout: Duration::from_secs(30),
            ..PublisherConfig::default()
        },
        ..BrokerConfig::new(BrokerUrl::parse(url)?, "throughput")
    };
    let broker = Broker::connect(&config, &Lifecycle::new(), None);
    drop(broker.publisher());
    broker.wait_for_topology().await?;
    while broker.check_publishing().is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    Ok(broker)
}

fn message() -> Publish {
    Publish {
        exchange: topology::EVENTS.to_owned(),
        routing_key: "acme.thing.happened".to_owned(),
        properties: Properties::persistent().with_message_id("evt_01h455vb4pex5vsknk084sn02q"),
        body: Bytes::from_static(&[b'x'; BODY]),
    }
}

async fn publish(url: &str, channels: usize, in_flight: usize, count: usize) -> Result<Broker> {
    let broker = connect(url, channels).await?;
    // Away with what an earlier round left, so that all start alike.
    drain(&broker).await?;
    let started = Start::now();
    fill(&broker, in_flight, count).await?;
    let what = format!("publish, 1 connection x {channels} channels, {in_flight} in flight");
    report(&what, count, started);
    Ok(broker)
}

async fn fill(broker: &Broker, in_flight: usize, count: usize) -> Result<()> {
    let tasks = TASKS.min(in_flight);
    let task = || {
        let publisher = broker.publisher();
        let publishing = stream::iter(0..count / tasks)
            .map(move |_| {
                let publisher = publisher.clone();
                async move { publisher.publish_confirmed(message()).await }
            })
            .buffer_unordered(in_flight / tasks)
            .fold(Ok(()), async |sum, one| sum.and(one));
        tokio::spawn(publishing)
    };
    for result in try_join_all((0..tasks).map(|_| task())).await? {
        result?;
    }
    Ok(())
}

/// What not to do: a pooled connection and a new channel for every message.
async fn checkout_per_publish(url: &str, in_flight: usize, count: usize) -> Result<()> {
    let runtime = async_rs::Runtime::tokio_current();
    let manager = Manager::new(url, ConnectionProperties::default, runtime);
    let pool = Arc::new(Pool::builder(manager).max_size(4).build()?);
    let started = Start::now();
    let one = |_| {
        let pool = Arc::clone(&pool);
        async move {
            let connection = pool.get().await?;
            let channel = connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let publish = channel.basic_publish(
                topology::EVENTS.into(),
                "acme.thing.happened".into(),
                BasicPublishOptions::default(),
                &[b'x'; BODY],
                BasicProperties::default().with_delivery_mode(2),
            );
            anyhow::ensure!(publish.await?.await?.is_ack(), "no ack");
            channel.close(200, "OK".into()).await?;
            Ok(())
        }
    };
    let results = stream::iter(0..count).map(one).buffer_unordered(in_flight);
    let result: Result<()> = results.fold(Ok(()), async |sum, one| sum.and(one)).await;
    result?;
    let what = format!("publish, checkout of 4 pooled connections, {in_flight} in flight");
    report(&what, count, started);
    Ok(())
}

async fn consume(broker: &Broker, prefetch: u16, count: usize) -> Result<()> {
    let config = ConsumerConfig {
        queue: topology::EVENTS,
        prefetch,
    };
    let started = Start::now();
    let mut consumer = broker.consume(config, CancellationToken::new());
    let mut left = count / TASKS * TASKS;
    while left > 0 {
        let batch = consumer.recv_many(500).await.context("stopped")?;
        left = left.saturating_sub(batch.len());
        for incoming in batch {
            incoming.ack.ack();
        }
    }
    consumer.close().await;
    report(
        &format!("consume, prefetch {prefetch}, grouped acks"),
        count,
        started,
    );
    Ok(())
}

async fn both(url: &str, count: usize) -> Result<()> {
    let broker = connect(url, 2).await?;
    let started = Start::now();
    let (filled, consumed) = tokio::join!(fill(&broker, 1000, count), async {
        let config = ConsumerConfig {
            queue: topology::EVENTS,
            prefetch: 1000,
        };
        let mut consumer = broker.consume(config, CancellationToken::new());
        let mut left = count / TASKS * TASKS;
        while left > 0 {
            let batch = consumer.recv_many(500).await.context("stopped")?;
            left = left.saturating_sub(batch.len());
            for incoming in batch {
                incoming.ack.ack();
            }
        }
        consumer.close().await;
        anyhow::Ok(())
    });
    filled?;
    consumed?;
    report("publish and consume together", count, started);
    Ok(())
}

async fn drain(broker: &Broker) -> Result<()> {
    let config = ConsumerConfig {
        queue: topology::EVENTS,
        prefetch: 1000,
    };
    let mut consumer = broker.consume(config, CancellationToken::new());
    let quiet = Duration::from_millis(500);
    while let Ok(batch) = tokio::time::timeout(quiet, consumer.recv_many(1000)).await {
        for incoming in batch.context("stopped")? {
            incoming.ack.ack();
        }
    }
    consumer.close().await;
    Ok(())
}

/// A moment, and the processor time that this process had used then.
struct Start {
    at: Instant,
    cpu: f64,
}

impl Start {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            cpu: cpu_seconds(),
        }
    }
}

/// Processor seconds of this process, from the 14th and 15th field of Linux' `stat` (proc(5)).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|text| text.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn report(what: &str, count: usize, start: Start) {
    let (seconds, cpu) = (start.at.elapsed().as_secs_f64(), cpu_seconds() - start.cpu);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let count = count as f64;
    let (rate, micros) = (count / seconds, cpu * 1e6 / count);
    println!("{what:64} {rate:9.0}/s {micros:6.0} µs of CPU each");
}
