//! The benchmark's own receiver: answers at once and notes when each delivery came.
//!
//! It runs on a thread and a runtime of its own, so that the generator cannot hold it up. A
//! request says which event it is by its `webhook-id` (`PREFIX-NUMBER`), and which endpoint by the
//! last part of its path.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, oneshot};

/// What the receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// 200 to everything.
    Take,
    /// 500 to the first attempt of each delivery, 200 to the others.
    FailFirst,
    /// 503 to everything until [`Arrivals::open`], then 200.
    ClosedAtFirst,
}

/// What has come so far; shared with the scenario.
#[derive(Debug)]
pub struct Arrivals {
    started: Instant,
    behaviour: Behaviour,
    endpoints: usize,
    prefix: String,
    slots: Vec<Slot>,
    /// Deliveries that were answered 200.
    taken: AtomicU64,
    /// Requests for deliveries that had been answered 200 before.
    repeated: AtomicU64,
    /// Requests that name no delivery of this run.
    strange: AtomicU64,
    changed: Notify,
    is_open: AtomicBool,
    /// Permits of the closed loop, one for each delivery that may be on its way.
    window: Option<Arc<Semaphore>>,
}

/// Times in nanoseconds after the start; 0 is "not yet".
#[derive(Debug, Default)]
struct Slot {
    first: AtomicU64,
    second: AtomicU64,
    count: AtomicU8,
}

/// How an [`Arrivals`] is set up.
#[derive(Debug)]
pub struct Expected {
    /// What is answered.
    pub behaviour: Behaviour,
    /// The events' ids are `PREFIX-0`, `PREFIX-1`, …
    pub prefix: String,
    /// Most events.
    pub events: usize,
    /// Endpoints that each event goes to.
    pub endpoints: usize,
    /// Deliveries that may be on their way at once, for a closed loop.
    pub window: Option<usize>,
}

impl Arrivals {
    /// Nothing has come yet.
    pub fn new(expected: Expected) -> Self {
        let slots = expected.events * expected.endpoints;
        Self {
            started: Instant::now(),
            behaviour: expected.behaviour,
            endpoints: expected.endpoints,
            prefix: expected.prefix,
            slots: (0..slots).map(|_| Slot::default()).collect(),
            taken: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            strange: AtomicU64::new(0),
            changed: Notify::new(),
            is_open: AtomicBool::new(expected.behaviour != Behaviour::ClosedAtFirst),
            window: expected.window.map(|size| Arc::new(Semaphore::new(size))),
        }
    }

    /// The moment that all times here are counted from.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Deliveries that were answered 200.
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Requests that came again although they had been answered 200, and requests of no delivery.
    pub fn repeated_and_strange(&self) -> (u64, u64) {
        (self.repeated.load(Relaxed), self.strange.load(Relaxed))
    }

    /// When the first request for a delivery came, after the start.
    pub fn first(&self, event: usize, endpoint: usize) -> Option<Duration> {
        nanos(
            self.slots
                .get(event * self.endpoints + endpoint)?
                .first
                .load(Relaxed),
        )
    }

    /// When the second one came.
    pub fn second(&self, event: usize, endpoint: usize) -> Option<Duration> {
        nanos(
            self.slots
                .get(event * self.endpoints + endpoint)?
                .second
                .load(Relaxed),
        )
    }

    /// Takes everything from now on.
    pub fn open(&self) {
        self.is_open.store(true, Relaxed);
    }

    /// The closed loop's permits.
    pub fn window(&self) -> Option<&Arc<Semaphore>> {
        self.window.as_ref()
    }

    /// Waits until `count` deliveries have been taken, or nothing new has come for `patience`.
    /// Gives how many have.
    pub async fn wait_for(&self, count: u64, patience: Duration) -> u64 {
        loop {
            let taken = self.taken();
            if taken >= count {
                return taken;
            }
            let waited = tokio::time::timeout(patience, self.changed.notified()).await;
            if waited.is_err() && self.taken() == taken {
                return taken;
            }
        }
    }

    /// Notes a request and says what to answer.
    fn note(&self, id: Option<&str>, path: &str) -> u16 {
        let Some(slot) = self.slot(id, path) else {
            self.strange.fetch_add(1, Relaxed);
            return 404;
        };
        if !self.is_open.load(Relaxed) {
            return 503;
        }
        let now = u64::try_from(self.started.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1);
        let count = slot.count.fetch_add(1, Relaxed);
        match count {
            0 => slot.first.store(now, Relaxed),
            1 => slot.second.store(now, Relaxed),
            _ => {}
        }
        let fails = u8::from(self.behaviour == Behaviour::FailFirst);
        if count < fails {
            return 500;
        }
        if count > fails {
            self.repeated.fetch_add(1, Relaxed);
            return 200;
        }
        let taken = self.taken.fetch_add(1, Relaxed) + 1;
        if let Some(window) = &self.window {
            window.add_permits(1);
        }
        // Waking somebody for every delivery would cost more than the delivery.
        if taken.is_multiple_of(64) || taken == self.slots.len() as u64 {
            self.changed.notify_waiters();
        }
        200
    }

    fn slot(&self, id: Option<&str>, path: &str) -> Option<&Slot> {
        let number = id?.strip_prefix(self.prefix.as_str())?.strip_prefix('-')?;
        let event: usize = number.parse().ok()?;
        let endpoint = if self.endpoints == 1 {
            0
        } else {
            path.rsplit('/')
                .next()?
                .parse()
                .ok()
                .filter(|index| *index < self.endpoints)?
        };
        self.slots.get(event * self.endpoints + endpoint)
    }
}

fn nanos(value: u64) -> Option<Duration> {
    (value > 0).then(|| Duration::from_nanos(value))
}

/// A running receiver; it ends when it is dropped.
#[derive(Debug)]
pub struct BenchReceiver {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl BenchReceiver {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port, or no thread, is to be had.
    pub fn start(arrivals: Arc<Arrivals>) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("bench-receiver".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        // Both branches only end the receiver: nothing is lost by cancelling.
                        () = accept(listener, arrivals) => {}
                        _ = stopped => {}
                    }
                });
            })
            .context("failed to start the receiver's thread")?;
        Ok(Self {
            address,
            _stop: stop,
        })
    }

    /// Its address as a URL without a path: `http://127.0.0.1:PORT`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of an endpoint.
    pub fn url(&self, endpoint: usize) -> String {
        format!("http://{}/e/{endpoint}", self.address)
    }

    /// The URL of an endpoint that takes requests and never answers.
    pub fn hanging_url(&self, endpoint: usize) -> String {
        format!("http://{}{HANGING}{endpoint}", self.address)
    }
}

/// Below this path nothing is ever answered.
const HANGING: &str = "/hang/";

async fn accept(listener: std::net::TcpListener, arrivals: Arc<Arrivals>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        drop(stream.set_nodelay(true));
        let arrivals = Arc::clone(&arrivals);
        tokio::spawn(async move {
            let serve = service_fn(|request| answer(&arrivals, request));
            // The sender may hang up whenever it likes.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), serve)
                    .await,
            );
        });
    }
}

async fn answer(
    arrivals: &Arrivals,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    if head.uri.path().starts_with(HANGING) {
        // Until the sender hangs up, which ends the connection and with it this.
        std::future::pending::<()>().await;
    }
    let id = head
        .headers
        .get("webhook-id")
        .and_then(|value| value.to_str().ok());
    let status = arrivals.note(id, head.uri.path());
    let mut response = Response::new(Empty::new());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(behaviour: Behaviour, endpoints: usize) -> Arrivals {
        Arrivals::new(Expected {
            behaviour,
            prefix: "b".to_owned(),
            events: 3,
            endpoints,
            window: None,
        })
    }

    #[test]
    fn each_delivery_is_counted_once() {
        let arrivals = arrivals(Behaviour::Take, 2);
        assert_eq!(arrivals.note(Some("b-0"), "/e/0"), 200);
        assert_eq!(arrivals.note(Some("b-0"), "/e/1"), 200);
        assert_eq!(arrivals.note(Some("b-0"), "/e/1"), 200);
        assert_eq!(arrivals.taken(), 2);
        assert!(arrivals.first(0, 1).is_some() && arrivals.first(1, 0).is_none());
        for (id, path) in [
            (None, "/e/0"),
            (Some("x-0"), "/e/0"),
            (Some("b-9"), "/e/0"),
            (Some("b-0"), "/e/2"),
        ] {
            assert_eq!(arrivals.note(id, path), 404, "{id:?} {path}");
        }
        assert_eq!(arrivals.repeated_and_strange(), (1, 4));
    }

    #[test]
    fn the_first_attempt_fails_where_asked() {
        let arrivals = arrivals(Behaviour::FailFirst, 1);
        assert_eq!(arrivals.note(Some("b-1"), "/"), 500);
        assert_eq!(arrivals.taken(), 0);
        assert_eq!(arrivals.note(Some("b-1"), "/"), 200);
        assert_eq!(arrivals.taken(), 1);
        assert!(arrivals.second(1, 0) >= arrivals.first(1, 0));
    }
}
