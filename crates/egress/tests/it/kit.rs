//! Tiny receivers on raw sockets, and short ways to send to them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::DateTime;
use signpost_egress::{Answer, Egress, EgressConfig, Failure, Request, Response, Sent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Long enough for anything that is meant to succeed, however busy the machine.
pub(crate) const PLENTY: Duration = Duration::from_secs(10);
/// For what is meant to hang.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// A listener on loopback; each connection is handled by a function that gets its number, from 0.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start<F, R>(handle: F) -> Self
    where
        F: Fn(Visit, usize) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0".parse().unwrap(), handle).await
    }

    pub(crate) async fn start_at<F, R>(address: SocketAddr, handle: F) -> Self
    where
        F: Fn(Visit, usize) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::default(), Arc::default());
        let (accepted, counted) = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            let connections: Arc<AtomicUsize> = accepted;
            while let Ok((stream, _peer)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let visit = Visit {
                    stream,
                    requests: Arc::clone(&counted),
                };
                tokio::spawn(handle(visit, number));
            }
        });
        Self {
            address,
            connections,
            requests,
            task,
        }
    }

    /// Reads one request, writes these bytes and closes.
    pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        Self::start(move |mut visit, _number| {
            let bytes = Arc::clone(&bytes);
            async move {
                visit.read_request().await;
                visit.write(&bytes).await;
            }
        })
        .await
    }

    /// Answers every request on a connection with these bytes, as long as requests come.
    pub(crate) async fn keeping_alive(bytes: &'static str) -> Self {
        Self::start(move |mut visit, _number| async move {
            while visit.read_request().await.is_some() {
                visit.write(bytes.as_bytes()).await;
            }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests whose head and body have been read completely.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One accepted connection.
pub(crate) struct Visit {
    pub(crate) stream: TcpStream,
    requests: Arc<AtomicUsize>,
}

impl Visit {
    /// The next request, head and body; `None` when the connection ends before one is complete.
    pub(crate) async fn read_request(&mut self) -> Option<Vec<u8>> {
        let request = read_request(&mut self.stream).await;
        if request.is_some() {
            self.requests.fetch_add(1, Ordering::SeqCst);
        }
        request
    }

    /// Writes; that the other side has hung up does not matter here.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _hung_up = self.stream.write_all(bytes).await;
    }

    /// Writes again and again until the other side hangs up.
    pub(crate) async fn flood(&mut self, bytes: &[u8]) {
        while self.stream.write_all(bytes).await.is_ok() {}
    }

    /// Writes byte by byte, with pauses, until the other side hangs up.
    pub(crate) async fn drip(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().cycle() {
            if self.stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the other side hangs up.
    pub(crate) async fn hang(&mut self) {
        let mut buffer = [0; 1024];
        while matches!(self.stream.read(&mut buffer).await, Ok(1..)) {}
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

/// Reads one request with a `Content-Length`.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.split("content-length: ").nth(1)?;
            let length: usize = length.split("\r\n").next()?.parse().ok()?;
            if bytes.len() >= end + 4 + length {
                return Some(bytes);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// The production settings, but for loopback, `http` and short times.
pub(crate) fn config() -> EgressConfig {
    EgressConfig {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        https_only: false,
        name_servers: vec!["127.0.0.1:1".parse().unwrap()],
        ..EgressConfig::default()
    }
}

pub(crate) fn egress() -> Arc<Egress> {
    Arc::new(Egress::new(&config()).unwrap())
}

pub(crate) fn request(egress: &Egress, url: &str, timeout: Duration) -> Request {
    Request {
        target: egress.target(url).unwrap(),
        headers: vec![],
        body: "{}".into(),
        timeout,
        now: DateTime::from_timestamp(1_767_225_600, 0).unwrap(),
    }
}

pub(crate) async fn send(egress: &Egress, url: &str, timeout: Duration) -> Sent {
    egress.send(&request(egress, url, timeout)).await
}

/// Sends with plenty of time and expects an answer.
pub(crate) async fn response(egress: &Egress, url: &str) -> Response {
    response_of(send(egress, url, PLENTY).await)
}

pub(crate) fn response_of(sent: Sent) -> Response {
    match sent.answer {
        Answer::Response(response) => response,
        Answer::Failure(failure) => panic!("no answer: {failure:?}"),
    }
}

pub(crate) fn failure_of(sent: Sent) -> Failure {
    match sent.answer {
        Answer::Response(response) => panic!("an answer: {response:?}"),
        Answer::Failure(failure) => failure,
    }
}

/// The code of the failure with plenty of time.
pub(crate) async fn failure_code(url: &str) -> &'static str {
    failure_of(send(&egress(), url, PLENTY).await).code.as_str()
}

/// Looks again and again until it is so, with patience.
pub(crate) async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PLENTY, "waited in vain until {what}");
        sleep(Duration::from_millis(2)).await;
    }
}
