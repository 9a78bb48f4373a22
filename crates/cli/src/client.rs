//! The API client: every command that talks to a server goes through it.
//!
//! It adds the key, builds paths safely, follows page cursors, and turns problem documents into
//! [`CliError`]. It knows nothing of single commands.

mod problem;
mod transport;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use serde_json::Value;
use url::Url;

use crate::config::Connection;
use crate::error::{CliError, Result};

pub use problem::{FieldProblem, Problem};
pub use transport::Transport;

/// How long an answer may take when nothing else is said.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    base: Url,
    authorization: Option<HeaderValue>,
    transport: Transport,
    patience: Duration,
}

/// One call: method, path below `/v1`, and what goes with it.
#[derive(Debug, Clone)]
pub struct Call<'c> {
    method: Method,
    path: Vec<&'c str>,
    query: Vec<(&'c str, String)>,
    body: Option<(&'static str, Bytes)>,
    idempotency_key: Option<String>,
}

/// A successful answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code, 2xx.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub body: Bytes,
}

impl<'c> Call<'c> {
    /// A call of the path whose segments these are, below `/v1`. Each segment is escaped.
    pub fn new(method: Method, path: impl Into<Vec<&'c str>>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            idempotency_key: None,
        }
    }

    /// `GET`.
    pub fn get(path: impl Into<Vec<&'c str>>) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST`.
    pub fn post(path: impl Into<Vec<&'c str>>) -> Self {
        Self::new(Method::POST, path)
    }

    /// `DELETE`.
    pub fn delete(path: impl Into<Vec<&'c str>>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds a query parameter, if there is a value.
    #[must_use]
    pub fn query(mut self, name: &'c str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Sends this JSON value.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.raw_json(body.to_string())
    }

    /// Sends this JSON text as it is.
    #[must_use]
    pub fn raw_json(self, body: impl Into<Bytes>) -> Self {
        self.body("application/json", body)
    }

    /// Sends a body of another type.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type, body.into()));
        self
    }

    /// Names this write, so that repeating it does nothing twice.
    #[must_use]
    pub fn idempotent(mut self, key: Option<String>) -> Self {
        self.idempotency_key = key;
        self
    }
}

impl Answer {
    /// The body as a JSON value, for looking into it.
    ///
    /// # Errors
    /// It is not JSON: the server is no Signpost.
    pub fn value(&self) -> Result<Value> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            CliError::Other(anyhow::anyhow!(
                "the server's answer is not JSON ({error}); is this a Signpost API?"
            ))
        })
    }
}

impl Client {
    /// A client for the server, with the key, of `connection`.
    ///
    /// # Errors
    /// The key holds characters that no header may.
    pub fn new(connection: &Connection) -> Result<Self> {
        let authorization = connection
            .key
            .as_ref()
            .map(|key| {
                let mut value =
                    HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_cause| {
                        CliError::Usage("the API key holds characters that no key has".to_owned())
                    })?;
                value.set_sensitive(true);
                Ok::<_, CliError>(value)
            })
            .transpose()?;
        Ok(Self {
            base: connection.server.clone(),
            authorization,
            transport: Transport::default(),
            patience: PATIENCE,
        })
    }

    /// The base URL.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Makes one call.
    ///
    /// # Errors
    /// No answer, or one that says no.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer> {
        let url = self.url(&call);
        let mut request = Request::builder()
            .method(call.method)
            .header(header::ACCEPT, "application/json, application/problem+json");
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let body = match call.body {
            Some((content_type, body)) => {
                request = request.header(header::CONTENT_TYPE, content_type);
                body
            }
            None => Bytes::new(),
        };
        let request = request
            .body(body)
            .map_err(|error| CliError::Usage(format!("the request cannot be written: {error}")))?;
        let answer = self.transport.send(&url, request, self.patience).await?;
        let (head, body) = answer.into_parts();
        if head.status.is_success() {
            return Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            });
        }
        let mut problem = Problem::new(head.status.as_u16(), &body);
        problem.retry_after = head
            .headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Err(CliError::Problem(Box::new(problem)))
    }

    /// Makes a call that is safe to repeat, again and again while the server says "later", for at
    /// most `patience` in all.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_patiently(&self, call: Call<'_>, patience: Duration) -> Result<Answer> {
        let started = tokio::time::Instant::now();
        loop {
            let error = match self.send(call.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = match &error {
                CliError::Problem(problem) if matches!(problem.status, 429 | 502..=504) => {
                    Duration::from_secs(problem.retry_after.unwrap_or(1).clamp(1, 30))
                }
                CliError::Unreachable { .. } => Duration::from_secs(1),
                _ => return Err(error),
            };
            if started.elapsed() + wait > patience {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// All pages of a list, from the first, until `most` items are there. The call's own `limit`
    /// is set per page. Gives the items and whether more are left.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn list(&self, call: Call<'_>, most: usize) -> Result<Listing> {
        let mut items: Vec<Box<serde_json::value::RawValue>> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let wanted = (most - items.len()).min(250);
            let page_call = call
                .clone()
                .query("limit", Some(wanted))
                .query("cursor", cursor.take());
            let page: Page = read_page(&self.send(page_call).await?)?;
            items.extend(page.items);
            // A page may hold fewer items than asked for, even none, and others still follow.
            cursor = page.next_cursor;
            if cursor.is_none() || items.len() >= most {
                return Ok(Listing {
                    items,
                    next_cursor: cursor,
                });
            }
        }
    }

    fn url(&self, call: &Call<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(&call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        url
    }
}

/// Some items of a list, each as the server wrote it.
#[derive(Debug, serde::Serialize)]
pub struct Listing {
    /// The items.
    pub items: Vec<Box<serde_json::value::RawValue>>,
    /// Where the next page begins, if there is one.
    pub next_cursor: Option<String>,
}

impl Listing {
    /// The items as values, for looking into them.
    pub fn values(&self) -> impl Iterator<Item = Value> {
        self.items
            .iter()
            .map(|raw| serde_json::from_str(raw.get()).unwrap_or_default())
    }
}

#[derive(serde::Deserialize)]
struct Page {
    items: Vec<Box<serde_json::value::RawValue>>,
    #[serde(default)]
    next_cursor: Option<String>,
}

fn read_page(answer: &Answer) -> Result<Page> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        CliError::Other(anyhow::anyhow!("the server's list cannot be read: {error}"))
    })
}

/// A segment that must not vanish: `..` and `.` are dropped by URL rules, so they are refused.
///
/// # Errors
/// The id is empty or a dot segment.
pub fn check_id(id: &str) -> Result<&str> {
    if id.is_empty() || id == "." || id == ".." {
        return Err(CliError::Usage(format!("{id:?} is not an id")));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(server: &str) -> Client {
        let connection = Connection {
            server: Url::parse(server).unwrap(),
            key: None,
            tenant: "default".to_owned(),
            context: None,
        };
        Client::new(&connection).unwrap()
    }

    #[test]
    fn paths_and_queries_are_escaped() {
        let call = Call::get(["tenants", "a/b", "events", "x?y z"])
            .query("type", Some("a.*&b"))
            .query("since", None::<String>);
        let url = client("http://127.0.0.1:8080/below/").url(&call);
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:8080/below/v1/tenants/a%2Fb/events/x%3Fy%20z?type=a.*%26b"
        );
    }

    #[test]
    fn dot_segments_are_no_ids() {
        for bad in ["", ".", ".."] {
            assert!(check_id(bad).is_err());
        }
        assert!(check_id("dlv_1").is_ok());
    }
}
