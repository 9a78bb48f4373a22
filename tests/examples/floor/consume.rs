//! A consumer: takes what has arrived, POSTs it, commits the rows, acks.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::StreamExt as _;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use sqlx::PgPool;

use crate::Shared;
use crate::post::{Answered, Poster};

/// Messages that the broker sends ahead.
const PREFETCH: u16 = 1000;
/// Most messages of a batch.
const BATCH: usize = 256;

pub(crate) async fn run(
    channel: Channel,
    poster: Poster,
    pool: PgPool,
    shared: Arc<Shared>,
) -> Result<()> {
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    let queue = shared.queue.as_str().into();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel
        .basic_consume(queue, "".into(), options, arguments)
        .await?;
    let mut batches = consumer.ready_chunks(BATCH);
    loop {
        let waited = tokio::time::timeout(Duration::from_millis(300), batches.next()).await;
        let batch = match waited {
            Ok(Some(batch)) => batch,
            Ok(None) => return Ok(()),
            Err(_quiet) if shared.is_over.load(Relaxed) => return Ok(()),
            Err(_quiet) => continue,
        };
        let batch = batch.into_iter().collect::<Result<Vec<_>, _>>()?;
        let messages = batch.iter().map(read).collect::<Result<Vec<_>>>()?;
        let answered = poster.post_all(&messages).await?;
        note_latencies(&shared, &answered)?;
        insert(&pool, &answered).await?;
        let last = batch
            .last()
            .context("a batch holds something")?
            .delivery_tag;
        channel
            .basic_ack(last, BasicAckOptions { multiple: true })
            .await?;
        shared.done.fetch_add(answered.len() as u64, Relaxed);
        shared.window.add_permits(batch.len());
    }
}

fn read(delivery: &Delivery) -> Result<(usize, Bytes)> {
    let id = delivery
        .properties
        .message_id()
        .as_ref()
        .context("a message has its id")?;
    Ok((id.as_str().parse()?, Bytes::copy_from_slice(&delivery.data)))
}

fn note_latencies(shared: &Shared, answered: &[Answered]) -> Result<()> {
    let now = u64::try_from(shared.began.elapsed().as_micros())?;
    let spans = answered
        .iter()
        .map(|answered| now.saturating_sub(shared.published[answered.number].load(Relaxed)));
    let poisoned = |_| anyhow::anyhow!("a worker has panicked");
    shared.latencies.lock().map_err(poisoned)?.extend(spans);
    Ok(())
}

/// One statement, one transaction, for the whole batch.
async fn insert(pool: &PgPool, answered: &[Answered]) -> Result<()> {
    let ids: Vec<_> = answered
        .iter()
        .map(|answered| format!("evt_{}", answered.number))
        .collect();
    let endpoints: Vec<_> = answered.iter().map(|answered| answered.endpoint).collect();
    let statuses: Vec<_> = answered.iter().map(|answered| answered.status).collect();
    let sql = "
        INSERT INTO signpost_floor (id, endpoint, status, answered_at)
        SELECT id, endpoint, status, now() FROM UNNEST($1::text[], $2::int[], $3::int[])
            AS row (id, endpoint, status)";
    sqlx::query(sql)
        .bind(ids)
        .bind(endpoints)
        .bind(statuses)
        .execute(pool)
        .await?;
    Ok(())
}
