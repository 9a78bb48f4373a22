//! One HTTP request on a connection of its own: a broken one says something about the server, not
//! about a connection that was kept too long.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Sends a request to `127.0.0.1:port` and waits for its answer.
///
/// # Errors
/// Nobody listens, the connection broke, or there was no answer in time.
pub(crate) async fn send(
    port: u16,
    method: Method,
    path: &str,
    key: &str,
    body: Bytes,
    patience: Duration,
) -> Result<Reply> {
    tokio::time::timeout(patience, exchange(port, method, path, key, body))
        .await
        .with_context(|| format!("no answer within {} s", patience.as_secs()))?
}

async fn exchange(port: u16, method: Method, path: &str, key: &str, body: Bytes) -> Result<Reply> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, format!("127.0.0.1:{port}"))
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    driver.abort();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    })
}
