//! The receiver answers by its script and remembers what came.

use std::time::{Duration, Instant};

use signpost_testkit::{RawReceiver, Receiver, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::PATIENCE;

/// Sends one request over a connection of its own and gives the whole answer as text.
async fn post(receiver: &Receiver, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(receiver.address()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nWebhook-Id: evt_1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn answers_by_its_script_and_the_last_answer_stays() {
    let receiver = Receiver::start().await.unwrap();
    assert_eq!(status(&post(&receiver, "/", "").await), "200");
    receiver.replies([500, 503, 204]);
    receiver.replies_on(
        "/own",
        [Reply::status(429)
            .header("Retry-After", "7")
            .body("slow down")],
    );
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(status(&post(&receiver, "/", "").await).to_owned());
    }
    assert_eq!(seen, ["500", "503", "204", "204"]);
    let answer = post(&receiver, "/own?a=b", "").await;
    assert!(answer.contains("retry-after: 7"), "{answer}");
    assert!(answer.ends_with("slow down"), "{answer}");
}

#[tokio::test]
async fn remembers_each_request_as_it_came() {
    let receiver = Receiver::start().await.unwrap();
    let before = Instant::now();
    post(&receiver, "/hooks?x=1", r#"{"n":1.0}"#).await;
    let requests = receiver.wait_for(1, PATIENCE).await;
    let request = &requests[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/hooks")
    );
    assert_eq!(request.query.as_deref(), Some("x=1"));
    assert_eq!(request.header("webhook-id"), Some("evt_1"));
    assert_eq!(&request.body[..], br#"{"n":1.0}"#);
    assert_eq!(request.json().unwrap()["n"], 1.0);
    assert!(request.received_at >= before);
    assert_eq!(receiver.received_on("/hooks").len(), 1);
    assert_eq!(receiver.received_on("/other").len(), 0);
}

#[tokio::test]
async fn a_function_may_answer_and_watch() {
    let receiver = Receiver::start().await.unwrap();
    let (sender, mut watched) = tokio::sync::mpsc::unbounded_channel();
    receiver.answer_with(move |request| {
        sender.send(request.number).unwrap();
        Reply::status(if request.number.is_multiple_of(2) {
            500
        } else {
            200
        })
    });
    assert_eq!(status(&post(&receiver, "/", "").await), "200");
    assert_eq!(status(&post(&receiver, "/", "").await), "500");
    assert_eq!(
        (watched.recv().await, watched.recv().await),
        (Some(1), Some(2))
    );
}

#[tokio::test]
async fn delays_closes_and_hangs_when_told() {
    let receiver = Receiver::start().await.unwrap();
    let delay = Duration::from_millis(50);
    receiver.replies([
        Reply::status(200).after(delay),
        Reply::close(),
        Reply::hang(),
    ]);
    let started = Instant::now();
    assert_eq!(status(&post(&receiver, "/", "").await), "200");
    assert!(started.elapsed() >= delay);
    assert_eq!(post(&receiver, "/", "").await, "");
    let hanging = tokio::time::timeout(delay, post(&receiver, "/", "")).await;
    assert!(hanging.is_err(), "{hanging:?}");
}

#[tokio::test]
async fn stops_and_starts_again_on_the_same_port() {
    let receiver = Receiver::start().await.unwrap();
    receiver.replies([Reply::hang()]);
    let mut open = TcpStream::connect(receiver.address()).await.unwrap();
    open.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    receiver.wait_for(1, PATIENCE).await;
    receiver.stop();
    // Whether as an end or as a reset, the open connection is gone.
    assert!(matches!(open.read(&mut [0; 8]).await, Ok(0) | Err(_)));
    signpost_testkit::wait_until("connections are refused", PATIENCE, async || {
        TcpStream::connect(receiver.address())
            .await
            .map_or(Ok(()), Err)
    })
    .await;
    receiver.start_again().await.unwrap();
    receiver.replies([201]);
    assert_eq!(status(&post(&receiver, "/", "").await), "201");
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn a_short_memory_keeps_the_latest_and_counts_all() {
    let receiver = Receiver::builder().keep(2).start().await.unwrap();
    for path in ["/1", "/2", "/3"] {
        post(&receiver, path, "").await;
    }
    let paths: Vec<_> = receiver
        .received()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, ["/2", "/3"]);
    assert_eq!(receiver.count(), 3);
}

#[tokio::test]
async fn a_raw_receiver_speaks_bytes() {
    let raw = RawReceiver::start(async |mut stream: TcpStream, number| {
        stream
            .write_all(format!("connection {number}").as_bytes())
            .await
            .unwrap();
    })
    .await
    .unwrap();
    let mut text = String::new();
    let mut stream = TcpStream::connect(raw.address()).await.unwrap();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "connection 1");
    assert_eq!(raw.connections(), 1);
}
