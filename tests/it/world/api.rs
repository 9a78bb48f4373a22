//! A small HTTP client for the API.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use signpost_testkit::wait_until;
use tokio::net::TcpStream;

use super::PATIENCE;

/// The API at an address, with a key.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    address: String,
    key: String,
}

/// What the API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    asked: String,
}

impl Answer {
    /// Fails the test unless the status is one of these.
    pub(crate) fn expect(self, statuses: &[u16]) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert!(
            statuses.contains(&self.status.as_u16()),
            "{}: {} {body}",
            self.asked,
            self.status
        );
        self
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        let text = || String::from_utf8_lossy(&self.body).into_owned();
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, text()))
    }
}

impl Api {
    /// The API at `address`, asked with `key`.
    pub(crate) fn new(address: String, key: &str) -> Self {
        Self {
            address,
            key: key.to_owned(),
        }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// POST with JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string().into()))
            .await
    }

    /// POST with the bytes given, said to be JSON.
    pub(crate) async fn post_raw(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::POST, path, Some(body.into())).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// PATCH with JSON.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body.to_string().into()))
            .await
    }

    /// PUT or POST of JSON, again while the answer is 503: what prepares a test is not the test,
    /// and a database that has just started on a busy machine may take its time.
    pub(crate) async fn prepare(&self, method: Method, path: &str, body: &Value) -> Answer {
        wait_until("the service is not too busy", PATIENCE, async || {
            let body = Some(body.to_string().into());
            let answer = self.send(method.clone(), path, body).await;
            if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                Err(answer)
            } else {
                Ok(answer)
            }
        })
        .await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Bytes>) -> Answer {
        self.try_send(method, path, body).await.unwrap()
    }

    /// Any request; an error when there is no answer.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> anyhow::Result<Answer> {
        let asked = format!("{method} {path}");
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let response = sender
            .send_request(request.body(Full::new(body.unwrap_or_default()))?)
            .await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        driver.abort();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            asked,
        })
    }
}
