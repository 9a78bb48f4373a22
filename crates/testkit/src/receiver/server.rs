//! The HTTP/1.1 server behind [`Receiver`](super::Receiver).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, bail};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use signpost_domain::{Clock as _, SystemClock};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::record::Log;
use super::script::Script;
use super::{Ending, Received};

#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) log: Arc<Log>,
    pub(super) script: Arc<Mutex<Script>>,
}

/// Serves connections for ever. Dropping the future closes the port and cuts all connections.
pub(super) async fn accept(listener: TcpListener, service: Service) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, or a caller that has gone: the next one may work.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        number += 1;
        connections.spawn(serve(stream, number, service.clone()));
    }
}

async fn serve(stream: TcpStream, connection: u64, service: Service) {
    // Without it the last small packet of an answer waits for the caller's acknowledgement.
    drop(stream.set_nodelay(true));
    let handle = service_fn(|request| service.handle(request, connection));
    // An error here is the caller's hanging up or a scripted close; both are as wanted.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), handle)
            .await,
    );
}

impl Service {
    async fn handle(
        &self,
        request: Request<Incoming>,
        connection: u64,
    ) -> Result<Response<Full<Bytes>>> {
        let (received_at, wall_time) = (Instant::now(), SystemClock.now());
        let (head, body) = request.into_parts();
        let request = self.log.add(Received {
            number: 0,
            connection,
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(ToOwned::to_owned),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
            received_at,
            wall_time,
        });
        let reply = self
            .script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(&request);
        if !reply.delay.is_zero() {
            tokio::time::sleep(reply.delay).await;
        }
        match reply.ending {
            Ending::Answer => {
                let mut response = Response::builder().status(reply.status);
                for (name, value) in &reply.headers {
                    response = response.header(name, value);
                }
                Ok(response.body(Full::new(reply.body))?)
            }
            Ending::Hang => std::future::pending().await,
            Ending::Close => bail!("the script closes the connection"),
        }
    }
}
