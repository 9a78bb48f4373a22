//! The HTTP listener: accepts connections within bounds and serves the router on them until the
//! process stops.
//!
//! Bounds, each against somebody who sends slowly or much: connections at once, time for the
//! request's head, size of the head. Bodies are bounded where they are read (`http::body`).

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use signpost_runtime::Lifecycle;
use tokio::{net::TcpListener, net::TcpStream, sync::Semaphore};
use tokio_util::sync::CancellationToken;

/// How long the head of a request may take to arrive; also how long a kept connection may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Serves until the process stops, and returns once every request that has begun is answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: u32,
    lifecycle: &Lifecycle,
) {
    let places = Arc::new(Semaphore::new(max_connections as usize));
    accept(&listener, &router, &places, lifecycle).await;
    drop(listener);
    // Each connection holds a place: taking them all waits for the last one.
    drop(places.acquire_many(max_connections).await);
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    places: &Arc<Semaphore>,
    lifecycle: &Lifecycle,
) {
    let token = lifecycle.token();
    loop {
        // The semaphore is never closed, so an error cannot come.
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            // Cancel-safe: accept loses no connection when it is dropped.
            accepted = listener.accept() => accepted,
            () = token.cancelled() => return,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let connection = serve_connection(stream, router.clone(), token.clone());
                lifecycle.spawn("http connection", async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: give others time to close theirs.
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router, token: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        // Not dropped when the other branch wins: it is awaited again below.
        result = connection.as_mut() => result,
        () = token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // A client that went away or sent nonsense; hyper has answered what can be answered.
        tracing::debug!(%error, "connection ended");
    }
}
