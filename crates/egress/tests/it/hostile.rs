//! Receivers that break the protocol or flood.

use std::time::Duration;

use signpost_domain::Outcome;

use crate::kit::{PLENTY, Receiver, SHORT, egress, failure_of, response, send};

/// The failure of a receiver that answers with these bytes, and how long it took.
async fn protocol_failure(what: &str, bytes: impl Into<Vec<u8>>) {
    let receiver = Receiver::answering(bytes).await;
    let failure = failure_of(send(&egress(), &receiver.url(), PLENTY).await);
    assert_eq!(failure.code.as_str(), "protocol", "{what}: {failure:?}");
    assert_eq!(failure.outcome(), Outcome::ProtocolError);
}

#[tokio::test]
async fn what_is_not_http_1_1_is_a_protocol_error() {
    let cases: &[(&str, &[u8])] = &[
        ("HTTP/0.9", b"<html>hello</html>"),
        ("TLS", &[0x15, 3, 3, 0, 2, 2, 70]),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
        ("SMTP", b"220 mail.example.com ESMTP\r\n"),
        (
            "HTTP/2",
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x10\0\0",
        ),
        (
            "NUL in a header",
            b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "folded header",
            b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "space before the colon",
            b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "no colon",
            b"HTTP/1.1 200 OK\r\nhello\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "status 099",
            b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        ),
        ("status 20", b"HTTP/1.1 20 Low\r\nContent-Length: 0\r\n\r\n"),
        ("version 3", b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        ),
        (
            "negative length",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ),
        (
            "huge length",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ),
        (
            "chunks in HTTP/1.0",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "switching protocols",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ),
    ];
    for (what, bytes) in cases {
        protocol_failure(what, *bytes).await;
    }
}

#[tokio::test]
async fn heads_that_are_too_large_are_a_protocol_error() {
    let headers = "X-Again: a\r\n".repeat(150);
    protocol_failure("150 headers", format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).await;
    let long = "a".repeat(600 * 1024);
    protocol_failure(
        "600 KB header",
        format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n"),
    )
    .await;
    let receiver = Receiver::start(|mut visit, _number| async move {
        visit.write(b"HTTP/1.1 200 OK\r\nX: ").await;
        visit.flood(&[b'a'; 4096]).await;
    })
    .await;
    let failure = failure_of(send(&egress(), &receiver.url(), PLENTY).await);
    assert_eq!(failure.code.as_str(), "protocol");
}

#[tokio::test]
async fn floods_of_interim_answers_end_early() {
    let interim: &[&str] = &[
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 100 \r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
        "HTTP/1.1 199 X\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
    ];
    for one in interim {
        let many = one.repeat(200);
        let receiver = Receiver::start(move |mut visit, _number| {
            let many = many.clone();
            async move { visit.flood(many.as_bytes()).await }
        })
        .await;
        let sent = send(&egress(), &receiver.url(), PLENTY).await;
        assert!(
            sent.duration < PLENTY / 2,
            "ended by the budget, not by the deadline"
        );
        let failure = failure_of(sent);
        assert_eq!(failure.code.as_str(), "protocol", "{one:?}: {failure:?}");
    }
}

#[tokio::test]
async fn endless_bodies_are_cut_and_the_connection_dropped() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        (sized, "x".repeat(1000)),
        (until_close, "x".repeat(1000)),
        (chunked, "a\r\nxxxxxxxxxx\r\n".repeat(100)),
        (chunked, "1\r\nx\r\n".repeat(200)),
    ];
    let egress = egress();
    for (head, more) in cases {
        let receiver = Receiver::start(move |mut visit, _number| {
            let more = more.clone();
            async move {
                visit.read_request().await;
                visit.write(head.as_bytes()).await;
                visit.flood(more.as_bytes()).await;
            }
        })
        .await;
        let response = response(&egress, &receiver.url()).await;
        assert_eq!(
            (response.status, response.body_truncated),
            (200, true),
            "{head}"
        );
        assert!(!response.body_incomplete, "{head}");
        assert!(response.body.len() <= 16 * 1024);
        assert_eq!(egress.idle_connections(), 0);
    }
}

#[tokio::test]
async fn endless_chunk_extensions_end_the_body() {
    // They cost bytes that never become a body.
    let receiver = Receiver::start(|mut visit, _number| async move {
        visit.read_request().await;
        visit
            .write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        visit
            .flood(format!("1;{}\r\nx\r\n", "e".repeat(1000)).as_bytes())
            .await;
    })
    .await;
    let response = response(&egress(), &receiver.url()).await;
    assert_eq!(response.status, 200);
    assert!(response.body_incomplete || response.body_truncated);
}

#[tokio::test]
async fn a_slow_flood_ends_at_the_deadline() {
    let receiver = Receiver::start(|mut visit, _number| async move {
        visit.drip(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    })
    .await;
    let sent = send(&egress(), &receiver.url(), SHORT).await;
    assert!(sent.duration < SHORT + Duration::from_secs(3));
    assert_eq!(failure_of(sent).code.as_str(), "timeout");
}
