//! One direction of one connection through the fault proxy.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Traffic;

/// How many chunks may be under way at once: enough that latency does not limit throughput.
const UNDER_WAY: usize = 1024;

/// Moves bytes until the source ends, then ends the target's side too.
pub(super) async fn pump(
    mut source: ReadHalf<'_>,
    mut target: WriteHalf<'_>,
    mut traffic: watch::Receiver<Traffic>,
    counter: &AtomicU64,
) {
    let (chunks, mut arrivals) = mpsc::channel::<(Instant, Bytes)>(UNDER_WAY);
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = source.read(&mut buffer).await {
            let chunk = Bytes::copy_from_slice(&buffer[..length]);
            if chunks.send((Instant::now(), chunk)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((read_at, chunk)) = arrivals.recv().await {
            let latency = traffic.borrow().latency;
            sleep_until(read_at + latency).await;
            if traffic
                .wait_for(|traffic| !traffic.is_blackholed)
                .await
                .is_err()
            {
                return;
            }
            if target.write_all(&chunk).await.is_err() {
                return;
            }
            counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        drop(target.shutdown().await);
    };
    tokio::join!(read, write);
}
