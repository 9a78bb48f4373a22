//! The fault proxy forwards, and breaks what it is told to break.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use signpost_testkit::{FaultProxy, RawReceiver, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::PATIENCE;

/// A server that sends back what it gets.
async fn echo() -> RawReceiver {
    RawReceiver::start(async |mut stream: TcpStream, _| {
        let (mut from, mut to) = stream.split();
        drop(tokio::io::copy(&mut from, &mut to).await);
    })
    .await
    .unwrap()
}

async fn say(stream: &mut TcpStream, word: &str) -> std::io::Result<String> {
    stream.write_all(word.as_bytes()).await?;
    let mut buffer = vec![0; word.len()];
    stream.read_exact(&mut buffer).await?;
    Ok(String::from_utf8(buffer).unwrap())
}

#[tokio::test]
async fn forwards_both_ways_and_counts() {
    let echo = echo().await;
    let proxy = FaultProxy::start(echo.address()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "hello").await.unwrap(), "hello");
    let counts = proxy.counts();
    assert_eq!(
        (
            counts.accepted,
            counts.open,
            counts.to_server,
            counts.to_client
        ),
        (1, 1, 5, 5)
    );

    // The end of one side is passed on; the other side may still speak.
    stream.write_all(b"bye").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye");
    wait_until("the connection is closed", PATIENCE, async || {
        match proxy.counts().open {
            0 => Ok(()),
            open => Err(open),
        }
    })
    .await;
}

#[tokio::test]
async fn is_down_and_up_again_on_the_same_port() {
    let echo = echo().await;
    let proxy = FaultProxy::start(echo.address()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut stream, "hello").await.unwrap();
    proxy.down();
    assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)));
    wait_until("connections are refused", PATIENCE, async || {
        TcpStream::connect(proxy.address())
            .await
            .map_or(Ok(()), Err)
    })
    .await;
    proxy.up().await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "again").await.unwrap(), "again");
}

#[tokio::test]
async fn resets_what_is_open_and_accepts_new_connections() {
    let echo = echo().await;
    let proxy = FaultProxy::start(echo.address()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut stream, "hello").await.unwrap();
    proxy.reset_connections();
    let error = stream.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "again").await.unwrap(), "again");
}

#[tokio::test]
async fn delays_and_holds_back_what_passes() {
    let echo = echo().await;
    let proxy = FaultProxy::start(echo.address()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let latency = Duration::from_millis(40);
    proxy.set_latency(latency);
    let started = Instant::now();
    say(&mut stream, "hello").await.unwrap();
    assert!(started.elapsed() >= 2 * latency);
    proxy.set_latency(Duration::ZERO);

    proxy.set_blackhole(true);
    let held = tokio::time::timeout(latency, say(&mut stream, "hello")).await;
    assert!(held.is_err(), "{held:?}");
    proxy.set_blackhole(false);
    let mut buffer = [0; 5];
    stream.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"hello");
}

#[tokio::test]
async fn a_server_that_is_away_looks_closed() {
    let port = signpost_testkit::free_port().unwrap();
    let proxy = FaultProxy::start(([127, 0, 0, 1], port).into())
        .await
        .unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)));
    let url = proxy.url_through("amqp://u:p@127.0.0.1:5672/%2f").unwrap();
    assert_eq!(
        url,
        format!("amqp://u:p@127.0.0.1:{}/%2f", proxy.address().port())
    );
}

#[tokio::test]
async fn new_connections_are_led_to_another_server() {
    let (echo, other) = (
        echo().await,
        RawReceiver::start(async |_, _| {}).await.unwrap(),
    );
    let proxy = FaultProxy::start(other.address()).await.unwrap();
    proxy.lead_to(echo.address());
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "hello").await.unwrap(), "hello");
}
