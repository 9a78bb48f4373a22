//! One HTTP/1.1 connection: sends a request, reads a bounded answer, says whether the connection
//! can be used again.
//!
//! The connection is driven by whoever waits for the answer: no task of its own, so when the
//! waiting ends (the deadline), the connection ends with it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use signpost_runtime::sabotaged;
use tokio::time::Instant;

use crate::connect::Stream;
use crate::meter::Meter;

/// Most bytes of a body that are read before the connection is dropped.
const MAX_READ: usize = 64 * 1024;
/// Most bytes of a body that are kept.
const MAX_KEPT: usize = 16 * 1024;
/// Most pieces of a body that are read: each chunk of a single byte costs as much work as a
/// large one.
const MAX_PIECES: usize = 1024;
/// Largest head of one answer; hyper's default is six times as large.
const MAX_HEAD: usize = 64 * 1024;

type Driver = http1::Connection<TokioIo<Stream>, Full<Bytes>>;

/// An open connection, between requests or in one.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Moves the bytes; gone when the connection has ended. It has to go at once, because a
    /// request that still waits inside it gets its error only then.
    driver: Option<Driver>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) address: SocketAddr,
    pub(crate) opened_at: Instant,
}

/// What was read of a body.
#[derive(Debug, Default)]
pub(crate) struct ReadBody {
    pub(crate) kept: Vec<u8>,
    pub(crate) is_truncated: bool,
    pub(crate) is_incomplete: bool,
}

impl Connection {
    pub(crate) async fn new(mut stream: Stream, address: SocketAddr) -> hyper::Result<Self> {
        let meter = stream.metered().start_requests();
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self {
            sender,
            driver: Some(driver),
            meter,
            address,
            opened_at: Instant::now(),
        })
    }

    /// Sends a request and waits for the head of the final answer.
    ///
    /// Not cancel-safe: dropped half-way, the connection is to be dropped too.
    pub(crate) async fn send(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> hyper::Result<http::Response<Incoming>> {
        self.meter.start_request();
        let mut answer = pin!(self.sender.send_request(request));
        let result = poll_fn(|cx| {
            drive(&mut self.driver, cx);
            answer.as_mut().poll(cx)
        })
        .await;
        self.meter.start_body();
        result
    }

    /// Reads the body as far as it is wanted. Not cancel-safe, like [`Connection::send`].
    pub(crate) async fn read_body(&mut self, mut body: Incoming) -> ReadBody {
        let mut read = ReadBody::default();
        let (mut total, mut pieces) = (0, 0);
        // The meter counts all the same: a test is not to fill this machine's memory.
        let (max_read, max_kept, max_pieces) = if sabotaged("no-body-cap") {
            (usize::MAX, usize::MAX, usize::MAX)
        } else {
            (MAX_READ, MAX_KEPT, MAX_PIECES)
        };
        poll_fn(|cx| {
            drive(&mut self.driver, cx);
            loop {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        let Some(data) = frame.data_ref() else {
                            continue; // Trailers.
                        };
                        total += data.len();
                        pieces += 1;
                        let room = max_kept - read.kept.len();
                        read.kept.extend_from_slice(&data[..data.len().min(room)]);
                        if total > max_read || pieces >= max_pieces {
                            read.is_truncated = true;
                            break;
                        }
                    }
                    Poll::Ready(Some(Err(_broken))) => {
                        read.is_incomplete = true;
                        break;
                    }
                    Poll::Ready(None) => break,
                    Poll::Pending if self.driver.is_none() => {
                        read.is_incomplete = true;
                        break;
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        })
        .await;
        read.is_truncated |= total > max_kept;
        if self.meter.is_exceeded() {
            // Cut off by us, not by the receiver.
            read.is_truncated = true;
            read.is_incomplete = false;
        }
        read
    }

    /// Whether another request can follow: the answer was read to its end and nothing is left.
    pub(crate) fn is_reusable(&mut self) -> bool {
        // Also takes the finished task's waker out of the socket, which would keep it alive.
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready() && !self.meter.has_write_failed()
    }
}

fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    let has_ended = driver
        .as_mut()
        .is_some_and(|driver| Pin::new(driver).poll(cx).is_ready());
    if has_ended {
        // An error goes to whoever waits for the answer or the body.
        *driver = None;
    }
}

/// Whether the head says that bytes may follow which hyper does not read.
pub(crate) fn has_unread_body(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_empty = |value: &http::HeaderValue| value.as_bytes() == b"0";
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        && (headers.contains_key(TRANSFER_ENCODING)
            || headers.get(CONTENT_LENGTH).is_some_and(|v| !is_empty(v)))
}

/// How long the receiver says it keeps an idle connection: `Keep-Alive: timeout=5` (RFC 2068,
/// section 19.7.1). A second is taken off, for the way.
pub(crate) fn keep_alive_hint(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(HeaderName::from_static("keep-alive"))?;
    let mut parts = value.to_str().ok()?.split(',');
    let seconds: u64 = parts.find_map(|part| part.trim().strip_prefix("timeout=")?.parse().ok())?;
    Some(Duration::from_secs(seconds.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, Interest};
    use tokio::net::{TcpListener, TcpStream};

    use crate::meter::MeteredStream;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// Both ends of a connection: ours, and the receiver's.
    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(connecting, listener.accept());
        (ours.unwrap(), theirs.unwrap().0)
    }

    async fn connection(ours: TcpStream) -> Connection {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let stream = Stream::Plain(MeteredStream::new(ours));
        Connection::new(stream, address).await.unwrap()
    }

    fn request() -> http::Request<Full<Bytes>> {
        http::Request::new(Full::new(Bytes::from_static(b"{}")))
    }

    async fn status(ours: TcpStream) -> hyper::Result<StatusCode> {
        let answer = connection(ours).await.send(request()).await?;
        Ok(answer.status())
    }

    #[tokio::test]
    async fn an_answer_that_was_there_before_the_request_counts() {
        let (ours, mut theirs) = connected().await;
        theirs.write_all(ANSWER).await.unwrap();
        ours.readable().await.unwrap();
        assert_eq!(status(ours).await.unwrap(), StatusCode::OK);
    }

    #[tokio::test]
    async fn an_answer_counts_although_the_request_cannot_be_written() {
        let (ours, mut theirs) = connected().await;
        theirs.write_all(ANSWER).await.unwrap();
        theirs.set_zero_linger().unwrap();
        drop(theirs);
        ours.ready(Interest::ERROR).await.unwrap();
        assert_eq!(status(ours).await.unwrap(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_request_on_a_closed_connection_fails_at_once_and_unsent() {
        let (ours, mut theirs) = connected().await;
        let mut connection = connection(ours).await;
        theirs.write_all(ANSWER).await.unwrap();
        let answer = connection.send(request()).await.unwrap();
        connection.read_body(answer.into_body()).await;
        assert!(connection.is_reusable());
        drop(theirs);
        let limit = Duration::from_secs(10);
        let result = tokio::time::timeout(limit, connection.send(request())).await;
        assert!(result.expect("it does not hang").is_err());
        assert!(connection.meter.is_unsent());
    }

    #[test]
    fn reads_how_long_a_receiver_keeps_a_connection() {
        let hint = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("keep-alive", text.parse().unwrap());
            keep_alive_hint(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(hint("timeout=5"), Some(4));
        assert_eq!(hint("max=100, timeout=72"), Some(71));
        assert_eq!(hint("timeout=0"), Some(0));
        assert_eq!(hint("max=100"), None);
        assert_eq!(hint("timeout=soon"), None);
        assert_eq!(keep_alive_hint(&HeaderMap::new()), None);
    }
}
