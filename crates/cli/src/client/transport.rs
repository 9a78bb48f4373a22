//! HTTP/1.1 over TCP or TLS, with connections kept open between calls.
//!
//! Small on purpose: one server, a few calls at a time, no redirects, no proxies.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::error::{CliError, Result};

/// Longest answer that is read; a page of 250 deliveries is far below.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// How long making a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

type Sender = SendRequest<Full<Bytes>>;

/// Open connections to one server.
#[derive(Debug, Default)]
pub struct Transport {
    idle: Mutex<Vec<Sender>>,
    tls: OnceLock<Arc<rustls::ClientConfig>>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Transport {
    /// Sends a request to `url` and reads the whole answer within `patience`.
    ///
    /// # Errors
    /// No connection, or it broke, or it took too long.
    pub async fn send(
        &self,
        url: &Url,
        mut request: Request<Bytes>,
        patience: Duration,
    ) -> Result<Response<Bytes>> {
        let unreachable = |reason: String| CliError::Unreachable {
            url: url.origin().ascii_serialization(),
            reason,
        };
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        *request.uri_mut() =
            Uri::try_from(path).map_err(|error| CliError::Usage(format!("{path}: {error}")))?;
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let host = HeaderValue::from_str(authority)
            .map_err(|error| CliError::Usage(format!("{authority}: {error}")))?;
        request.headers_mut().insert(header::HOST, host);
        let exchange = async {
            let mut sender = match self.take_idle().await {
                Some(sender) => sender,
                None => self.connect(url).await?,
            };
            let answer = sender
                .send_request(request.map(Full::new))
                .await
                .map_err(|error| describe(&error))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER)
                .collect()
                .await
                .map_err(|error| format!("the answer broke off: {error}"))?
                .to_bytes();
            self.idle().push(sender);
            Ok::<_, String>(Response::from_parts(head, body))
        };
        match tokio::time::timeout(patience, exchange).await {
            Ok(result) => result.map_err(unreachable),
            Err(_elapsed) => Err(unreachable(format!(
                "no answer within {} s",
                patience.as_secs()
            ))),
        }
    }

    /// A connection that is open and ready, if there is one.
    async fn take_idle(&self) -> Option<Sender> {
        loop {
            let mut sender = self.idle().pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn connect(&self, url: &Url) -> Result<Sender, String> {
        let host = url.host_str().ok_or("the URL names no host")?;
        let port = url.port_or_known_default().ok_or("the URL names no port")?;
        // An IPv6 address stands in brackets in a URL and without them everywhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let connecting = TcpStream::connect((host, port));
        let tcp = tokio::time::timeout(CONNECT_PATIENCE, connecting)
            .await
            .map_err(|_elapsed| format!("no connection within {} s", CONNECT_PATIENCE.as_secs()))?
            .map_err(|error| error.to_string())?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let stream: Box<dyn Stream> = if url.scheme() == "https" {
            let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
            let tls = TlsConnector::from(self.tls()?);
            let stream = tls.connect(name, tcp).await;
            Box::new(stream.map_err(|error| format!("TLS: {error}"))?)
        } else {
            Box::new(tcp)
        };
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| describe(&error))?;
        // What ends the connection is seen by whoever waits for an answer on it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    /// The operating system's certificates.
    fn tls(&self) -> Result<Arc<rustls::ClientConfig>, String> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error of hyper with its cause, on one line.
fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
