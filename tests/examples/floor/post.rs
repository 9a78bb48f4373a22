//! Requests with hyper, over connections that stay open.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Connections of each worker.
const CONNECTIONS: usize = 16;

/// A worker's connections to the receiver.
pub(crate) struct Poster {
    connections: Vec<Arc<Mutex<SendRequest<Full<Bytes>>>>>,
    host: String,
    /// POSTs per message.
    pub(crate) fanout: usize,
}

/// One POST that was answered.
pub(crate) struct Answered {
    /// The message's number.
    pub(crate) number: usize,
    /// Which of its POSTs.
    pub(crate) endpoint: i32,
    /// The status code.
    pub(crate) status: i32,
}

impl Poster {
    pub(crate) async fn connect(receiver: &str, fanout: usize) -> Result<Self> {
        let host = receiver
            .strip_prefix("http://")
            .context("the receiver speaks plain http")?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(host).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(async move { drop(connection.await) });
            connections.push(Arc::new(Mutex::new(sender)));
        }
        Ok(Self {
            connections,
            host: host.to_owned(),
            fanout,
        })
    }

    /// POSTs every message to each of its URLs, all connections at work at once.
    pub(crate) async fn post_all(&self, messages: &[(usize, Bytes)]) -> Result<Vec<Answered>> {
        let count = self.connections.len();
        let jobs = messages.iter().flat_map(|(number, body)| {
            (0..self.fanout).map(move |endpoint| (*number, endpoint, body))
        });
        let jobs: Vec<_> = jobs.collect();
        let lanes = self
            .connections
            .iter()
            .enumerate()
            .map(|(lane, connection)| {
                let mine: Vec<_> = jobs.iter().skip(lane).step_by(count).collect();
                async move {
                    let mut sender = connection.lock().await;
                    let mut answered = Vec::with_capacity(mine.len());
                    for (number, endpoint, body) in mine {
                        let request = Request::post(format!("/e/{endpoint}"))
                            .header("host", &self.host)
                            .header("content-type", "application/json")
                            .header("webhook-id", format!("floor-{number}"))
                            .body(Full::new((*body).clone()))?;
                        sender.ready().await?;
                        let response = sender.send_request(request).await?;
                        let status = response.status().as_u16();
                        response.into_body().collect().await?;
                        let endpoint = i32::try_from(*endpoint)?;
                        answered.push(Answered {
                            number: *number,
                            endpoint,
                            status: status.into(),
                        });
                    }
                    Ok::<_, anyhow::Error>(answered)
                }
            });
        let answered = futures::future::try_join_all(lanes).await?;
        Ok(answered.into_iter().flatten().collect())
    }
}
