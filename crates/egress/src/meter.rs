//! The TCP stream below HTTP and TLS, with a budget.
//!
//! hyper bounds the head of one answer, but not how many 1xx answers come before it, and no
//! library bounds what a TLS record may cost without carrying data. So every byte is counted here,
//! at the bottom, and a receiver that has used up its budget gets a broken connection.
//!
//! Two more things are settled at this level, because only here they can be:
//!
//! * A receiver may answer without reading the request. What it sends before the request has left
//!   is held back until then; hyper would take it for garbage.
//! * It may even close its side at once. Then our writing fails while its answer waits to be read.
//!   A failed write is noted and otherwise ignored: reading tells what happened.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes a receiver may send before the head of its final answer is complete.
const HEAD_BUDGET: usize = 64 * 1024;
/// Bytes a receiver may send in all for one request, and in a TLS handshake.
const TOTAL_BUDGET: usize = 128 * 1024;
/// What a read costs at least: a receiver that sends byte by byte makes work, too.
const LEAST_CHARGE: usize = 4;

/// The counters of one connection, shared between the stream inside hyper and its user.
#[derive(Debug)]
pub(crate) struct Meter {
    read: AtomicUsize,
    budget: AtomicUsize,
    written: AtomicUsize,
    exceeded: AtomicBool,
    write_failed: AtomicBool,
}

// One task drives a connection at a time, so nothing has to be ordered between threads.
const ORDER: Ordering = Ordering::Relaxed;

impl Meter {
    fn new() -> Self {
        Self {
            read: AtomicUsize::new(0),
            budget: AtomicUsize::new(TOTAL_BUDGET),
            written: AtomicUsize::new(0),
            exceeded: AtomicBool::new(false),
            write_failed: AtomicBool::new(false),
        }
    }

    /// A new request begins.
    pub(crate) fn start_request(&self) {
        self.read.store(0, ORDER);
        self.written.store(0, ORDER);
        self.budget.store(HEAD_BUDGET, ORDER);
    }

    /// The final status is there; the body may follow.
    pub(crate) fn start_body(&self) {
        self.budget.store(TOTAL_BUDGET, ORDER);
    }

    /// Whether nothing of the current request has left this machine.
    pub(crate) fn is_unsent(&self) -> bool {
        self.written.load(ORDER) == 0
    }

    /// Whether the receiver has used up its budget.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.exceeded.load(ORDER)
    }

    /// Whether a part of the request could not be written.
    pub(crate) fn has_write_failed(&self) -> bool {
        self.write_failed.load(ORDER)
    }

    fn count_read(&self, bytes: usize) {
        self.read.fetch_add(bytes.max(LEAST_CHARGE), ORDER);
    }

    fn check_budget(&self) -> io::Result<()> {
        if self.read.load(ORDER) < self.budget.load(ORDER) {
            return Ok(());
        }
        self.exceeded.store(true, ORDER);
        Err(io::Error::other("the receiver sent too much"))
    }
}

/// A TCP stream whose bytes are counted.
pub(crate) struct MeteredStream {
    tcp: TcpStream,
    meter: Arc<Meter>,
    /// Nothing is read until something has been written.
    is_holding: bool,
    /// Who wants to read meanwhile.
    held: Option<Waker>,
    /// Whether the connection is open for requests, the handshake done.
    is_ready: bool,
}

impl MeteredStream {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self {
            tcp,
            meter: Arc::new(Meter::new()),
            is_holding: false,
            held: None,
            is_ready: false,
        }
    }

    /// The handshake, if there was one, is over and the first request follows.
    pub(crate) fn start_requests(&mut self) -> Arc<Meter> {
        self.is_holding = true;
        self.is_ready = true;
        Arc::clone(&self.meter)
    }

    /// Takes note of what a write gave; `len` bytes were to be written.
    fn after_write(&mut self, result: io::Result<usize>, len: usize) -> io::Result<usize> {
        match result {
            Ok(written) => {
                self.meter.written.fetch_add(written, ORDER);
                self.release();
                Ok(written)
            }
            Err(_broken) if self.is_ready => {
                self.meter.write_failed.store(true, ORDER);
                self.release();
                Ok(len)
            }
            Err(error) => Err(error),
        }
    }

    fn release(&mut self) {
        self.is_holding = false;
        if let Some(waker) = self.held.take() {
            waker.wake();
        }
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_holding {
            self.held = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.meter.check_budget()?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        self.meter.count_read(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.tcp).poll_write(cx, bytes));
        Poll::Ready(self.after_write(result, bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, slices));
        let len = slices.iter().map(|slice| slice.len()).sum();
        Poll::Ready(self.after_write(result, len))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
