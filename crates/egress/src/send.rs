//! Sends one request from beginning to end; the crate's front door.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, RETRY_AFTER, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use signpost_runtime::sabotaged;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::connect::connect;
use crate::exchange::{Connection, has_unread_body, keep_alive_hint};
use crate::pool::Pool;
use crate::resolve::Resolver;
use crate::shown::{REDACTED, is_secret};
use crate::{
    AddressRule, Answer, EgressConfig, Failure, FailureCode, Request, Response, Rules, Sent,
    Target, TargetError, retry_after, tls,
};

/// Most bytes of header names and values that are kept of an answer.
const MAX_KEPT_HEADERS: usize = 16 * 1024;

const DEFAULT_USER_AGENT: &str = concat!("Signpost/", env!("CARGO_PKG_VERSION"));

/// Headers that frame a message or belong to one connection: only this crate and hyper set them.
const NOT_THE_CALLERS: [HeaderName; 6] =
    [CONNECTION, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Why the egress cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator's certificate authorities are not PEM.
    #[error("read the extra certificate authorities")]
    ReadExtraCa(#[source] rustls::pki_types::pem::Error),
    /// One of the operator's certificate authorities is not a certificate.
    #[error("use an extra certificate authority")]
    AddExtraCa(#[source] rustls::Error),
    /// The text of the operator's certificate authorities holds no certificate.
    #[error("find a certificate in the extra certificate authorities")]
    NoExtraCa,
    /// TLS cannot be set up.
    #[error("set up TLS")]
    SetUpTls(#[source] rustls::Error),
    /// The resolver cannot be set up.
    #[error("set up the DNS resolver")]
    SetUpDns(#[source] io::Error),
}

/// Sends requests to customers' URLs. One per process; all methods take `&self`.
pub struct Egress {
    rules: Rules,
    addresses: AddressRule,
    resolver: Resolver,
    tls: TlsConnector,
    pool: Arc<Pool>,
    dns_timeout: Duration,
    connect_timeout: Duration,
}

/// How far a request has come.
#[derive(Default)]
struct Progress {
    connected: bool,
    reused: bool,
}

impl Egress {
    /// Sets up name resolution, TLS and the pool; makes no connection yet.
    ///
    /// # Errors
    /// When the certificate authorities or the resolver's configuration cannot be read.
    pub fn new(config: &EgressConfig) -> Result<Self, Error> {
        Ok(Self {
            rules: Rules::new(config),
            addresses: AddressRule::new(config),
            resolver: Resolver::new(config).map_err(Error::SetUpDns)?,
            tls: tls::connector(config)?,
            pool: Arc::new(Pool::new(config)),
            dns_timeout: config.dns_timeout,
            connect_timeout: config.connect_timeout,
        })
    }

    /// Reads a URL by the rules of this process: the check at registration, and what prepares an
    /// endpoint for its attempts.
    ///
    /// # Errors
    /// Why the URL is refused, for the tenant.
    pub fn target(&self, url: &str) -> Result<Target, TargetError> {
        Target::parse(url, &self.rules)
    }

    /// Reads a URL and looks up its host, so that a name with a forbidden address is refused when
    /// it is registered. A host that cannot be looked up now is no reason to refuse it: every
    /// attempt looks again.
    ///
    /// # Errors
    /// Why the URL is refused, for the tenant.
    pub async fn check(&self, url: &str) -> Result<Target, TargetError> {
        let target = self.target(url)?;
        let deadline = Instant::now() + self.dns_timeout;
        match self.checked_addresses(&target, deadline).await {
            Err(failure) if failure.code == FailureCode::TargetNotAllowed => {
                Err(TargetError::Address(target.host().to_owned()))
            }
            Ok(_) | Err(_) => Ok(target),
        }
    }

    /// How many connections are kept open without a request.
    pub fn idle_connections(&self) -> usize {
        self.pool.len()
    }

    /// Sends a POST and reads the answer, all of it within the request's timeout.
    ///
    /// May be dropped at any time; the connection in use is closed then. Must run on a tokio
    /// runtime with I/O and time.
    pub async fn send(&self, request: &Request) -> Sent {
        let started = Instant::now();
        let mut progress = Progress::default();
        let mut result = self.attempt(request, started, &mut progress).await;
        if sabotaged("redirects-followed")
            && let Some(request) = self.redirected(request, &result)
        {
            result = Box::pin(self.attempt(&request, started, &mut progress)).await;
        }
        let answer = match result {
            Ok(response) => Answer::Response(response),
            Err(failure) => Answer::Failure(failure),
        };
        Sent {
            answer,
            connected: progress.connected,
            reused: progress.reused,
            duration: started.elapsed(),
        }
    }

    /// The request that a redirect asks for: only tests of the tests follow it.
    fn redirected(&self, request: &Request, result: &Result<Response, Failure>) -> Option<Request> {
        let headers = &result.as_ref().ok()?.headers;
        let (_name, location) = headers.iter().find(|(name, _)| name == "location")?;
        Some(Request {
            target: self.target(location.to_str().ok()?).ok()?,
            ..request.clone()
        })
    }

    async fn attempt(
        &self,
        request: &Request,
        started: Instant,
        progress: &mut Progress,
    ) -> Result<Response, Failure> {
        let target = &request.target;
        let deadline = started + request.timeout;
        let addresses = self.checked_addresses(target, deadline).await?;
        let call = Call {
            request,
            started,
            deadline,
        };
        for &address in &addresses {
            let key = target.pool_key(address);
            while let Some(connection) = self.pool.take(&key) {
                (progress.connected, progress.reused) = (true, true);
                if let Some(response) = self.exchange(connection, &call).await? {
                    return Ok(response);
                }
                // It was closed while idle and nothing has been sent: nothing has happened.
                (progress.connected, progress.reused) = (false, false);
            }
        }
        let until = deadline.min(Instant::now() + self.connect_timeout);
        // Boxed, like the look-up: rare, and large, while the rest of a request is neither.
        let connecting = Box::pin(connect(target, &addresses, &self.tls, until));
        let (stream, address) = connecting.await?;
        progress.connected = true;
        let connection = Connection::new(stream, address)
            .await
            .map_err(|_unusable| Failure::reset())?;
        let response = self.exchange(Box::new(connection), &call).await?;
        response.ok_or_else(Failure::reset)
    }

    /// The addresses of the target; a single one that is forbidden refuses them all.
    async fn checked_addresses(
        &self,
        target: &Target,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let mut addresses = self
            .resolver
            .addresses(target, &self.addresses, deadline)
            .await?;
        if sabotaged("mixed-dns-filtered") {
            addresses.retain(|&address| self.addresses.check(address).is_ok());
        }
        for &address in &addresses {
            if let Err(denied) = self.addresses.check(address) {
                let host = target.host();
                tracing::info!(host, %address, what = denied.what, "egress.address_refused");
                return Err(Failure::forbidden_address());
            }
        }
        Ok(addresses)
    }

    /// One request over one connection. `None` when the connection turned out to be closed before
    /// anything was sent, so that the request can go over another one.
    async fn exchange(
        &self,
        mut connection: Box<Connection>,
        call: &Call<'_>,
    ) -> Result<Option<Response>, Failure> {
        let request = call.request.to_http();
        let head = match timeout_at(call.deadline, connection.send(request)).await {
            Err(_elapsed) => return Err(Failure::timeout(None)),
            Ok(Err(_closed)) if connection.meter.is_unsent() => return Ok(None),
            Ok(Err(error)) => return Err(Failure::from_exchange(&error, &connection.meter)),
            Ok(Ok(head)) => head,
        };
        let (head, body) = head.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::protocol(
                "the receiver switched to another protocol",
            ));
        }
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| {
            let now = call.wall_clock();
            retry_after::parse(value.as_bytes(), now)
        });
        let read = read_body(&mut connection, body, call, head.status).await?;
        let response = Response {
            status: head.status.as_u16(),
            headers: kept_headers(&head.headers),
            body: Bytes::from(read.kept),
            body_truncated: read.is_truncated,
            body_incomplete: read.is_incomplete,
            ambiguous_length: head.headers.contains_key(CONTENT_LENGTH)
                && head.headers.contains_key(TRANSFER_ENCODING),
            retry_after,
        };
        // An HTTP/1.0 receiver would be spoken to in HTTP/1.0 from now on.
        let is_clean = head.version == Version::HTTP_11
            && !response.ambiguous_length
            && !response.body_incomplete
            && !has_unread_body(head.status, &head.headers);
        if is_clean && connection.is_reusable() {
            let key = call.request.target.pool_key(connection.address);
            self.pool
                .put(key, connection, keep_alive_hint(&head.headers));
        }
        Ok(Some(response))
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}

/// A request on its way.
struct Call<'a> {
    request: &'a Request,
    started: Instant,
    deadline: Instant,
}

impl Call<'_> {
    /// The caller's clock, moved on by the time that has passed since.
    fn wall_clock(&self) -> DateTime<Utc> {
        self.request.now + self.started.elapsed()
    }
}

async fn read_body(
    connection: &mut Connection,
    body: Incoming,
    call: &Call<'_>,
    status: StatusCode,
) -> Result<crate::exchange::ReadBody, Failure> {
    timeout_at(call.deadline, connection.read_body(body))
        .await
        .map_err(|_elapsed| Failure::timeout(Some(status.as_u16())))
}

impl Request {
    fn to_http(&self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.path();
        let headers = request.headers_mut();
        headers.reserve(self.headers.len() + 4);
        headers.insert(HOST, self.target.host_header());
        for (name, value) in &self.headers {
            if name != HOST && !NOT_THE_CALLERS.contains(name) {
                headers.append(name, value.clone());
            }
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(DEFAULT_USER_AGENT));
        request
    }
}

fn kept_headers(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let mut kept = Vec::with_capacity(headers.len());
    let mut bytes = 0;
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len();
        if bytes > MAX_KEPT_HEADERS {
            break;
        }
        let value = if is_secret(name) {
            HeaderValue::from_static(REDACTED)
        } else {
            value.clone()
        };
        kept.push((name.clone(), value));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_on_its_way_is_small() {
        let egress = Egress::new(&EgressConfig::default()).unwrap();
        let request = Request {
            target: egress.target("https://example.com/").unwrap(),
            headers: vec![],
            body: Bytes::new(),
            timeout: Duration::from_secs(1),
            now: DateTime::UNIX_EPOCH,
        };
        let size = size_of_val(&egress.send(&request));
        assert!(
            size < 4096,
            "{size} bytes are copied around for each request"
        );
    }
}
