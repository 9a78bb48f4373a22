//! Puts the [`FrameGuard`] between lapin and the network.
//!
//! lapin lets its user choose what connects: [`GuardedReactor`] does what tokio's would do,
//! encrypts where asked to, and wraps the stream. Used by [`crate::link`] alone.

use std::{
    fmt,
    future::Future,
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_rs::{Tokio, traits::Reactor, util::RuntimeParts};
use futures::{AsyncRead, AsyncWrite, Stream};
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};

use super::FrameGuard;

/// What lapin runs on: tokio's executor and our reactor.
pub(crate) type GuardedRuntime = async_rs::Runtime<RuntimeParts<Tokio, GuardedReactor>>;

/// Bytes asked from the network at once.
const READ_SIZE: usize = 64 * 1024;

/// The runtime for connections, with TLS and this host name in the certificate if given.
pub(crate) fn runtime(tls_host: Option<String>) -> GuardedRuntime {
    let reactor = GuardedReactor {
        tokio: Tokio::current(),
        tls_host,
    };
    async_rs::Runtime::new(RuntimeParts::new(Tokio::current(), reactor))
}

/// Connects as tokio does, and guards what is read.
#[derive(Clone, Debug)]
pub(crate) struct GuardedReactor {
    tokio: Tokio,
    tls_host: Option<String>,
}

impl Reactor for GuardedReactor {
    type TcpStream = GuardedStream;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.tokio.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<GuardedStream>> + Send + 'static {
        let (connecting, tls_host) = (self.tokio.tcp_connect_addr(address), self.tls_host.clone());
        async move {
            let stream = AsyncTcpStream::Plain(connecting.await?);
            let stream = match tls_host {
                None => stream,
                Some(host) => {
                    let config = OwnedTLSConfig::default();
                    stream.into_tls(&host, config.as_ref()).await?
                }
            };
            Ok(GuardedStream::new(stream))
        }
    }
}

/// A connection whose incoming bytes pass the guard.
pub(crate) struct GuardedStream {
    inner: AsyncTcpStream<<Tokio as Reactor>::TcpStream>,
    guard: FrameGuard,
    /// Straight from the network.
    raw: Box<[u8]>,
    /// Passed, and not read by lapin yet from `taken` on.
    passed: Vec<u8>,
    taken: usize,
}

impl GuardedStream {
    fn new(inner: AsyncTcpStream<<Tokio as Reactor>::TcpStream>) -> Self {
        Self {
            inner,
            guard: FrameGuard::default(),
            raw: vec![0; READ_SIZE].into_boxed_slice(),
            passed: Vec::with_capacity(READ_SIZE),
            taken: 0,
        }
    }
}

impl fmt::Debug for GuardedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedStream").finish_non_exhaustive()
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        while this.taken == this.passed.len() {
            this.passed.clear();
            this.taken = 0;
            let count = ready!(Pin::new(&mut this.inner).poll_read(context, &mut this.raw))?;
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            this.guard.feed(&this.raw[..count], &mut this.passed);
        }
        let waiting = &this.passed[this.taken..];
        let count = waiting.len().min(buffer.len());
        buffer[..count].copy_from_slice(&waiting[..count]);
        this.taken += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, parts)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_close(context)
    }
}
