//! One HTTP/1.1 connection that posts: no more than the benchmark needs, since generator and
//! system share the machine.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// How long a request is repeated while the server says "later".
const PATIENCE: Duration = Duration::from_secs(60);

/// Where requests go: a server's address, and the head of every request up to the length.
#[derive(Debug, Clone)]
pub struct Target {
    authority: String,
    head: String,
}

impl Target {
    /// `POST path` on `server`, with a key. Plain HTTP only: the benchmark runs on one machine.
    ///
    /// # Errors
    /// The server's URL is not `http`.
    pub fn new(server: &Url, path: &str, key: &str, content_type: &str) -> Result<Self> {
        if server.scheme() != "http" {
            bail!("the benchmark publishes over plain http only");
        }
        let host = server
            .host_str()
            .context("the server's URL names no host")?;
        let port = server
            .port_or_known_default()
            .context("the server's URL names no port")?;
        let authority = format!("{host}:{port}");
        let base = server.path().trim_end_matches('/');
        let head = format!(
            "POST {base}{path} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {key}\r\n\
             content-type: {content_type}\r\ncontent-length: "
        );
        Ok(Self { authority, head })
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    target: Target,
    stream: TcpStream,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(&target.authority)
            .await
            .with_context(|| format!("failed to connect to {}", target.authority))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            target: target.clone(),
            stream,
            outgoing: Vec::new(),
            incoming: Vec::new(),
        })
    }

    /// Posts; repeats while the server says 429 or 503, counting that in `refused`. Gives whether
    /// it was accepted in the end.
    ///
    /// # Errors
    /// The connection breaks, or the answer is another refusal: the benchmark is set up wrongly.
    pub async fn post_patiently(&mut self, body: &[u8], refused: &mut usize) -> Result<bool> {
        let started = Instant::now();
        loop {
            match self.post(body).await? {
                200..=299 => return Ok(true),
                429 | 503 => {
                    *refused += 1;
                    if started.elapsed() > PATIENCE {
                        return Ok(false);
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                status => bail!(
                    "a request was answered {status}: {}",
                    String::from_utf8_lossy(&self.incoming)
                ),
            }
        }
    }

    /// Posts once and gives the status.
    async fn post(&mut self, body: &[u8]) -> Result<u16> {
        self.outgoing.clear();
        self.outgoing.extend_from_slice(self.target.head.as_bytes());
        self.outgoing
            .extend_from_slice(body.len().to_string().as_bytes());
        self.outgoing.extend_from_slice(b"\r\n\r\n");
        self.outgoing.extend_from_slice(body);
        self.stream
            .write_all(&self.outgoing)
            .await
            .context("the server hung up")?;
        self.incoming.clear();
        loop {
            let count = self.stream.read_buf(&mut self.incoming).await?;
            if count == 0 {
                bail!("the server hung up");
            }
            if let Some((status, length)) = read_head(&self.incoming)? {
                while self.incoming.len() < length {
                    if self.stream.read_buf(&mut self.incoming).await? == 0 {
                        bail!("the server hung up within an answer");
                    }
                }
                return Ok(status);
            }
        }
    }
}

/// The status and the whole length of an answer, once its head is there.
fn read_head(bytes: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).context("the answer's head is not text")?;
    let status = head
        .get(9..12)
        .and_then(|text| text.parse().ok())
        .context("no status")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    let length = match (length, status) {
        (Some(length), _) => length,
        (None, 204) => 0,
        (None, _) => bail!("the answer has no content-length"),
    };
    Ok(Some((status, end + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use signpost_testkit::{Receiver, Reply};

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(read_head(text).unwrap(), Some((202, text.len())));
        assert_eq!(read_head(&text[..20]).unwrap(), None);
        assert_eq!(
            read_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(),
            Some((204, 27))
        );
        assert!(read_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn posts_again_after_a_503_on_the_same_connection() {
        let receiver = Receiver::start().await.unwrap();
        receiver.replies([
            Reply::status(503),
            Reply::status(202).body("{\"id\":1}"),
            Reply::status(204),
        ]);
        let target = Target::new(
            &receiver.url().parse().unwrap(),
            "/v1/x",
            "key",
            "application/json",
        )
        .unwrap();
        let mut connection = Connection::open(&target).await.unwrap();
        let mut refused = 0;
        assert!(
            connection
                .post_patiently(b"{}", &mut refused)
                .await
                .unwrap()
        );
        assert!(
            connection
                .post_patiently(b"{\"a\":1}", &mut refused)
                .await
                .unwrap()
        );
        assert_eq!(refused, 1);
        let requests = receiver.received();
        assert_eq!(requests[2].body, "{\"a\":1}");
        assert_eq!(requests[2].header("authorization"), Some("Bearer key"));
        assert!(
            requests
                .iter()
                .all(|request| request.connection == 1 && request.path == "/v1/x")
        );
    }
}
