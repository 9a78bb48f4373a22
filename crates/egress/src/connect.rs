//! Opens a connection to exactly the addresses that were checked, with TLS where the URL says so.
//!
//! Never looks up a name: what comes in are socket addresses, and the one that was connected is
//! compared with the one that was asked for.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Failure, Target, meter::MeteredStream};

/// A connection to a receiver, ready for the first request.
pub(crate) enum Stream {
    Plain(MeteredStream),
    Tls(Box<TlsStream<MeteredStream>>),
}

impl Stream {
    pub(crate) fn metered(&mut self) -> &mut MeteredStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }
}

/// Connects to the first address that answers; all of it until `deadline`. Gives the stream and
/// the address it leads to.
pub(crate) async fn connect(
    target: &Target,
    addresses: &[SocketAddr],
    tls: &TlsConnector,
    deadline: Instant,
) -> Result<(Stream, SocketAddr), Failure> {
    let (tcp, address) = connect_tcp(addresses, deadline).await?;
    let stream = MeteredStream::new(tcp);
    let Some(server_name) = target.server_name() else {
        return Ok((Stream::Plain(stream), address));
    };
    match timeout_at(deadline, tls.connect(server_name, stream)).await {
        Ok(Ok(stream)) => Ok((Stream::Tls(Box::new(stream)), address)),
        Ok(Err(error)) => Err(Failure::from_tls(&error)),
        Err(_elapsed) => Err(Failure::tls_timeout()),
    }
}

async fn connect_tcp(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut failure = Failure::connect_timeout();
    for (index, &address) in addresses.iter().enumerate() {
        // An address that does not answer leaves the others their share of the time.
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + left / others, open(address)).await {
            Ok(Ok(tcp)) => return Ok((tcp, address)),
            Ok(Err(error)) => failure = Failure::from_connect(&error),
            Err(_elapsed) => failure = Failure::connect_timeout(),
        }
        if failure.is_own_fault {
            break;
        }
    }
    Err(failure)
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let peer = tcp.peer_addr()?;
    // Without a listener, a port of the ephemeral range can be connected to itself.
    if peer != address || tcp.local_addr()? == peer {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(tcp)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
