//! The load: events published over HTTP, as cheaply as possible, in a closed or an open loop.
//!
//! The closed loop keeps a number of deliveries on their way and shows what the system can do. The
//! open loop sends by the clock, whatever the system does, and counts each latency from the moment
//! at which the event should have been sent: waiting in line counts ("coordinated omission",
//! <https://www.youtube.com/watch?v=lJ8ydIuPFeU>).

mod connection;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::future::try_join_all;
use tokio::sync::{Semaphore, mpsc};

pub use connection::{Connection, Target};

/// Makes the body of the request with this number.
pub type Body = Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>;

/// What a loop has sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Requests that were answered 2xx.
    pub accepted: usize,
    /// Requests with another answer, such as 503.
    pub refused: usize,
    /// When each request should have been sent, after the start; open loop only.
    pub intended: Vec<Duration>,
    /// From the intended time to the answer, for each request that was accepted; open loop only.
    pub answered_after: Vec<Duration>,
}

/// A closed loop: `connections` requests at a time, each next one as soon as an answer is there
/// and `window` has a permit for its `weight` deliveries. Ends when `until` is reached or `most`
/// requests were sent.
#[derive(Clone)]
pub struct ClosedLoop {
    /// Where to.
    pub target: Target,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// What bounds the deliveries on their way; none for publishing alone.
    pub window: Option<Arc<Semaphore>>,
    /// Deliveries per request.
    pub weight: u32,
    /// Most requests.
    pub most: usize,
    /// When to stop.
    pub until: Instant,
}

impl ClosedLoop {
    /// Runs it to its end.
    ///
    /// # Errors
    /// A connection breaks, or a request is refused for good.
    pub async fn run(self, body: Body) -> Result<Sent> {
        let next = Arc::new(AtomicUsize::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let workers = (0..self.connections).map(|_| {
            let (this, body) = (self.clone(), Arc::clone(&body));
            let (next, is_over) = (Arc::clone(&next), Arc::clone(&is_over));
            tokio::spawn(async move { this.work(&body, &next, &is_over).await })
        });
        let mut sent = Sent {
            accepted: 0,
            refused: 0,
            intended: Vec::new(),
            answered_after: Vec::new(),
        };
        for worker in try_join_all(workers).await? {
            let (accepted, refused) = worker?;
            sent.accepted += accepted;
            sent.refused += refused;
        }
        Ok(sent)
    }

    async fn work(
        &self,
        body: &Body,
        next: &AtomicUsize,
        is_over: &AtomicBool,
    ) -> Result<(usize, usize)> {
        let mut connection = Connection::open(&self.target).await?;
        let (mut accepted, mut refused) = (0, 0);
        while !is_over.load(Relaxed) {
            if let Some(window) = &self.window {
                // The last deliveries may never come: then the time is what ends the wait.
                let until = tokio::time::Instant::from_std(self.until);
                match tokio::time::timeout_at(until, window.acquire_many(self.weight)).await {
                    Ok(permit) => permit?.forget(),
                    Err(_elapsed) => break,
                }
            }
            let number = next.fetch_add(1, Relaxed);
            if number >= self.most || Instant::now() >= self.until {
                is_over.store(true, Relaxed);
                break;
            }
            if connection
                .post_patiently(&body(number), &mut refused)
                .await?
            {
                accepted += 1;
            }
        }
        Ok((accepted, refused))
    }
}

/// An open loop: `rate` requests a second for `duration`, at fixed times.
#[derive(Debug, Clone)]
pub struct OpenLoop {
    /// Where to.
    pub target: Target,
    /// Connections that share the requests.
    pub connections: usize,
    /// Requests a second.
    pub rate: f64,
    /// For how long.
    pub duration: Duration,
    /// What the times are counted from.
    pub started: Instant,
}

impl OpenLoop {
    /// How many requests it will send.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates and durations are small and positive"
    )]
    pub fn count(&self) -> usize {
        (self.rate * self.duration.as_secs_f64()) as usize
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// A connection breaks, or a request is refused for good.
    pub async fn run(self, body: Body) -> Result<Sent> {
        let count = self.count();
        let gap = Duration::from_secs_f64(1.0 / self.rate);
        let first = Instant::now() + Duration::from_millis(50);
        let mut queues = Vec::new();
        let mut workers = Vec::new();
        for _ in 0..self.connections.max(1) {
            let mut connection = Connection::open(&self.target).await?;
            let (queue, mut numbers) = mpsc::unbounded_channel::<(usize, Instant)>();
            queues.push(queue);
            let body = Arc::clone(&body);
            workers.push(tokio::spawn(async move {
                let (mut accepted, mut refused) = (Vec::new(), 0);
                while let Some((number, intended)) = numbers.recv().await {
                    if connection
                        .post_patiently(&body(number), &mut refused)
                        .await?
                    {
                        accepted.push(intended.elapsed());
                    }
                }
                Ok::<_, anyhow::Error>((accepted, refused))
            }));
        }
        // A thread of its own: the runtime's timer has steps of a millisecond.
        let pacer = std::thread::Builder::new()
            .name("bench-pacer".to_owned())
            .spawn(move || {
                for number in 0..count {
                    let intended = first + gap * u32::try_from(number).unwrap_or(u32::MAX);
                    if let Some(wait) = intended.checked_duration_since(Instant::now()) {
                        std::thread::sleep(wait);
                    }
                    if queues[number % queues.len()]
                        .send((number, intended))
                        .is_err()
                    {
                        return; // A worker has failed and will say so.
                    }
                }
            });
        let pacer = pacer.context("failed to start the pacer's thread")?;
        let offset = first.duration_since(self.started);
        let intended = (0..count)
            .map(|n| offset + gap * u32::try_from(n).unwrap_or(u32::MAX))
            .collect();
        let mut sent = Sent {
            accepted: 0,
            refused: 0,
            intended,
            answered_after: Vec::new(),
        };
        for worker in try_join_all(workers).await? {
            let (accepted, refused) = worker?;
            sent.accepted += accepted.len();
            sent.answered_after.extend(accepted);
            sent.refused += refused;
        }
        if pacer.join().is_err() {
            bail!("the pacer's thread has failed");
        }
        Ok(sent)
    }
}
