//! The admin listener: `/metrics`, `/livez`, `/readyz`. For operators, on its own address; it
//! serves nothing else and never a customer's data.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{Lifecycle, Readiness};

/// Most connections at once; more wait in the backlog.
const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves metrics and health until the process stops.
pub async fn serve(
    listener: TcpListener,
    registry: Registry,
    readiness: Readiness,
    lifecycle: Lifecycle,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let token = lifecycle.token();
    loop {
        // The semaphore is never closed, so an error cannot come.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            // Cancel-safe: accept loses no connection when it is dropped.
            accepted = listener.accept() => accepted,
            () = token.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: give others time to close theirs.
                tracing::warn!(%error, "admin listener cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (registry, readiness, life) = (registry.clone(), readiness.clone(), lifecycle.clone());
        lifecycle.spawn("admin connection", async move {
            let token = life.token();
            let service = service_fn(move |request| {
                let response = answer(&request, &registry, &readiness, &life);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                result = connection => if let Err(error) = result {
                    tracing::debug!(%error, "admin connection ended");
                },
                () = token.cancelled() => {}
            }
            drop(place);
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    registry: &Registry,
    readiness: &Readiness,
    life: &Lifecycle,
) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "alive\n".to_owned()),
        "/readyz" => {
            let mut problems = readiness.problems();
            if life.is_stopping() {
                problems.push(("process", "stopping".to_owned()));
            }
            let (status, mut lines) = if problems.is_empty() {
                (StatusCode::OK, "ready\n".to_owned())
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, String::new())
            };
            for (name, reason) in problems.into_iter().chain(readiness.notes()) {
                lines.push_str(&[name, ": ", &reason, "\n"].concat());
            }
            text(status, lines)
        }
        "/metrics" => match TextEncoder::new().encode_to_string(&registry.gather()) {
            Ok(metrics) => text(StatusCode::OK, metrics),
            Err(error) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("cannot write metrics: {error}\n"),
            ),
        },
        _ => text(
            StatusCode::NOT_FOUND,
            "here are /metrics, /livez and /readyz\n".to_owned(),
        ),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn says_what_is_not_ready_and_shows_metrics() {
        let registry = Registry::new();
        let counter = prometheus::IntCounter::new("signpost_test_total", "A test.").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        counter.inc();
        let readiness = Readiness::new();
        readiness.complete();
        let life = Lifecycle::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        life.spawn(
            "admin",
            serve(listener, registry, readiness.clone(), life.clone()),
        );

        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        readiness.add_note("database", || Err("away".to_owned()));
        let answer = get(address, "/readyz").await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("ready\ndatabase: away\n"),
            "{answer}"
        );
        readiness.add("broker", || Err("not connected".to_owned()));
        let answer = get(address, "/readyz").await;
        assert!(
            answer.starts_with("HTTP/1.1 503") && answer.contains("\nbroker: not connected\n"),
            "{answer}"
        );
        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
        assert!(
            get(address, "/metrics")
                .await
                .contains("signpost_test_total 1")
        );
        assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
        life.stop();
    }
}
