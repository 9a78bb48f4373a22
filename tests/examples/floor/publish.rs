//! Publishing with pipelined confirms: one owner per channel, a window of unconfirmed messages.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, PublisherConfirm};
use tokio::sync::mpsc;

use crate::Shared;

/// Bytes of each message.
const BODY: [u8; 1024] = [b'x'; 1024];
/// Unconfirmed messages.
const UNCONFIRMED: usize = 1000;

/// Publishes in a closed loop, or at a rate, until it is over.
pub(crate) async fn run(channel: Channel, rate: Option<f64>, shared: Arc<Shared>) -> Result<()> {
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let (confirms, waiting) = mpsc::channel(UNCONFIRMED);
    let confirmed = tokio::spawn(confirm_all(waiting));
    let mut pace = rate.map(|rate| tokio::time::interval(Duration::from_secs_f64(1.0 / rate)));
    for number in 0..shared.published.len() {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        if shared.is_over.load(Relaxed) {
            break;
        }
        // The consumers give the permits back; at the end they no longer do.
        match tokio::time::timeout(Duration::from_millis(500), shared.window.acquire()).await {
            Ok(permit) => permit?.forget(),
            Err(_elapsed) => continue,
        }
        let micros = u64::try_from(shared.began.elapsed().as_micros())?;
        shared.published[number].store(micros, Relaxed);
        confirms
            .send(publish(&channel, &shared.queue, number).await?)
            .await?;
    }
    drop(confirms);
    confirmed.await?
}

/// Publishes as fast as the confirms come, and counts those.
pub(crate) async fn alone(channel: Channel, shared: Arc<Shared>) -> Result<()> {
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let (confirms, mut waiting) = mpsc::channel::<PublisherConfirm>(UNCONFIRMED);
    let counter = Arc::clone(&shared);
    let confirmed = tokio::spawn(async move {
        while let Some(confirm) = waiting.recv().await {
            ensure!(confirm.await?.is_ack(), "a message was not confirmed");
            counter.done.fetch_add(1, Relaxed);
        }
        Ok::<_, anyhow::Error>(())
    });
    let mut number = 0;
    while !shared.is_over.load(Relaxed) {
        confirms
            .send(publish(&channel, &shared.queue, number).await?)
            .await?;
        number += 1;
    }
    drop(confirms);
    confirmed.await?
}

async fn publish(channel: &Channel, queue: &str, number: usize) -> Result<PublisherConfirm> {
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id(number.to_string().into());
    let options = BasicPublishOptions::default();
    Ok(channel
        .basic_publish("".into(), queue.into(), options, &BODY, properties)
        .await?)
}

async fn confirm_all(mut waiting: mpsc::Receiver<PublisherConfirm>) -> Result<()> {
    let began = Instant::now();
    while let Some(confirm) = waiting.recv().await {
        ensure!(
            confirm.await?.is_ack(),
            "a message was not confirmed after {:?}",
            began.elapsed()
        );
    }
    Ok(())
}
