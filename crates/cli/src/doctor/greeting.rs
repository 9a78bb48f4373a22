//! A broker's first words: AMQP's `connection.start` names the product and its version.
//!
//! Read by hand from the socket (AMQP 0-9-1, sections 2.3.5 and 4.2), since the client library
//! does not show them. Nothing is logged in.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// Most bytes of the greeting that are read; RabbitMQ's has about 500.
const MOST: usize = 64 * 1024;

/// What a broker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) product: String,
    pub(super) version: String,
}

/// Asks the broker; `None` where the connection is encrypted, which is not done here.
///
/// # Errors
/// Nobody answers, or somebody who does not speak AMQP 0-9-1.
pub(super) async fn ask(url: &str, patience: Duration) -> Result<Option<Greeting>> {
    // The URL may hold a password: no error shows it.
    let url = Url::parse(url).ok().context("the URL cannot be read")?;
    if url.scheme() != "amqp" {
        return Ok(None);
    }
    let host = url.host_str().context("the URL names no host")?.to_owned();
    let port = url.port().unwrap_or(5672);
    let talk = async {
        let mut stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        let mut head = [0; 7];
        stream.read_exact(&mut head).await?;
        // A frame: type 1 (method), channel 0, length.
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        if head[..3] != [1, 0, 0] || length > MOST {
            bail!("it does not speak AMQP 0-9-1");
        }
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        parse(&payload).context("its greeting cannot be read")
    };
    match tokio::time::timeout(patience, talk).await {
        Ok(greeting) => greeting.map(Some),
        Err(_elapsed) => bail!("no answer within {} s", patience.as_secs()),
    }
}

/// Reads `connection.start`: class 10, method 10, two version bytes, then a table of properties,
/// of which only texts (`S`) are looked at.
fn parse(payload: &[u8]) -> Option<Greeting> {
    let table = payload.strip_prefix(&[0, 10, 0, 10])?.get(2..)?;
    Some(Greeting {
        product: find(table, "product")?,
        version: find(table, "version")?,
    })
}

/// A text in the table: a short string with its length, `S`, and a long string with its length.
fn find(table: &[u8], name: &str) -> Option<String> {
    let mut key = vec![u8::try_from(name.len()).ok()?];
    key.extend_from_slice(name.as_bytes());
    key.push(b'S');
    let at = table.windows(key.len()).position(|window| window == key)? + key.len();
    let length = u32::from_be_bytes(table.get(at..at + 4)?.try_into().ok()?) as usize;
    let text = table.get(at + 4..at + 4 + length)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_and_version_are_found() {
        let mut payload = vec![0, 10, 0, 10, 0, 9, 0, 0, 0, 50];
        payload.extend_from_slice(b"\x0ccapabilitiesF\x00\x00\x00\x00");
        payload.extend_from_slice(b"\x07productS\x00\x00\x00\x08RabbitMQ");
        payload.extend_from_slice(b"\x07versionS\x00\x00\x00\x063.10.8");
        let greeting = parse(&payload).unwrap();
        assert_eq!(
            (greeting.product.as_str(), greeting.version.as_str()),
            ("RabbitMQ", "3.10.8")
        );
        assert_eq!(parse(&payload[..20]), None);
        assert_eq!(parse(b"HTTP/1.1 400"), None);
    }
}
