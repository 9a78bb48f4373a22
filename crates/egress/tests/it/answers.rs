//! Receivers whose answer counts: the body within bounds, the status as sent.

use std::time::Duration;

use http::{HeaderValue, header::LOCATION};
use signpost_domain::Outcome;
use signpost_egress::shown_headers;

use crate::kit::{
    PLENTY, Receiver, SHORT, egress, failure_code, failure_of, request, response, response_of, send,
};

/// Sends to a receiver that answers with these bytes and closes; gives status, body and flags
/// (truncated, incomplete).
async fn answer(bytes: impl Into<Vec<u8>>) -> (u16, String, bool, bool) {
    let receiver = Receiver::answering(bytes).await;
    let response = response(&egress(), &receiver.url()).await;
    let body = String::from_utf8_lossy(&response.body).into_owned();
    (
        response.status,
        body,
        response.body_truncated,
        response.body_incomplete,
    )
}

fn whole(status: u16, body: &str) -> (u16, String, bool, bool) {
    (status, body.to_owned(), false, false)
}

#[tokio::test]
async fn reads_each_kind_of_body() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(answer(sized).await, whole(200, "hello"));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n";
    assert_eq!(answer(chunked).await, whole(200, "hello"));
    let until_close = "HTTP/1.1 200 OK\r\n\r\nhello";
    assert_eq!(answer(until_close).await, whole(200, "hello"));
    let old = "HTTP/1.0 200 OK\r\n\r\nhello";
    assert_eq!(answer(old).await, whole(200, "hello"));
    let none = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answer(none).await, whole(200, ""));
    let twice = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(answer(twice).await, whole(200, "hello"));
}

#[tokio::test]
async fn passes_any_status_on_as_it_is() {
    for status in [
        200, 201, 204, 299, 304, 400, 404, 410, 429, 500, 503, 600, 999,
    ] {
        let bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer(bytes).await, whole(status, ""));
    }
}

#[tokio::test]
async fn skips_a_few_interim_answers() {
    let bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(answer(bytes).await, whole(200, "ok"));
}

#[tokio::test]
async fn follows_no_redirect() {
    let elsewhere = Receiver::keeping_alive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.url();
        let bytes =
            format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::answering(bytes).await;
        let response = response(&egress(), &receiver.url()).await;
        assert_eq!(response.status, status);
        assert!(
            response
                .headers
                .contains(&(LOCATION, HeaderValue::from_str(&location).unwrap()))
        );
        assert_eq!(receiver.connections(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn keeps_sixteen_kib_of_a_long_body() {
    let body = "x".repeat(60_000);
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{body}");
    let (status, kept, truncated, incomplete) = answer(bytes).await;
    assert_eq!(
        (status, kept.len(), truncated, incomplete),
        (200, 16 * 1024, true, false)
    );
    let body = "x".repeat(16 * 1024);
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\n{body}");
    assert_eq!(answer(bytes).await, whole(200, &body));
}

#[tokio::test]
async fn a_compressed_body_is_kept_as_it_came() {
    // The beginning of a gzip bomb, and a header that lies.
    let mut bytes =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n".to_vec();
    let body = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xff, 0xff];
    bytes.extend(body);
    let receiver = Receiver::answering(bytes).await;
    let response = response(&egress(), &receiver.url()).await;
    assert_eq!(response.body, body.as_slice());
    assert!(!response.body_truncated);
}

#[tokio::test]
async fn a_success_whose_body_breaks_off_is_still_a_success() {
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello";
    assert_eq!(answer(short).await, (200, "hello".to_owned(), false, true));
    let unfinished = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    assert_eq!(
        answer(unfinished).await,
        (200, "hello".to_owned(), false, true)
    );
    let garbled = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n";
    assert_eq!(
        answer(garbled).await,
        (200, "hello".to_owned(), false, true)
    );
    let reset = Receiver::start(|mut visit, _number| async move {
        visit.read_request().await;
        visit
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            .await;
        visit.reset();
    })
    .await;
    let response = response(&egress(), &reset.url()).await;
    assert_eq!((response.status, response.body_incomplete), (200, true));
}

#[tokio::test]
async fn an_answer_without_reading_the_request_counts() {
    let at_once = Receiver::start(|mut visit, _number| async move {
        visit
            .write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")
            .await;
        visit.hang().await;
    })
    .await;
    for body in [vec![b'x'; 2], vec![b'x'; 8 << 20]] {
        let egress = egress();
        let mut request = request(&egress, &at_once.url(), PLENTY);
        request.body = body.into();
        let response = response_of(egress.send(&request).await);
        assert_eq!(
            (response.status, response.body.as_ref()),
            (202, b"ok".as_slice())
        );
    }
}

#[tokio::test]
async fn an_answer_to_an_upload_that_is_never_read_counts() {
    // The head of the request is read, then the answer comes; 8 MB cannot be taken in.
    let receiver = Receiver::start(|mut visit, _number| async move {
        let mut head = [0; 64];
        let _read = tokio::io::AsyncReadExt::read(&mut visit.stream, &mut head).await;
        visit
            .write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            .await;
        // Closing with unread bytes is a reset; give the answer time to arrive first.
        let _readable = tokio::time::timeout(SHORT, std::future::pending::<()>()).await;
    })
    .await;
    let egress = egress();
    let mut request = request(&egress, &receiver.url(), PLENTY);
    request.body = vec![b'x'; 8 << 20].into();
    assert_eq!(response_of(egress.send(&request).await).status, 413);
}

#[tokio::test]
async fn header_bytes_beyond_ascii_are_kept_as_well_as_possible() {
    let bytes = b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9 \xf0\x9f\x98\x80\r\nContent-Length: 0\r\n\r\n";
    let receiver = Receiver::answering(*bytes).await;
    let response = response(&egress(), &receiver.url()).await;
    assert!(
        shown_headers(&response.headers)
            .get()
            .starts_with("{\"x-name\":\"caf\u{fffd} 😀\"")
    );
}

#[tokio::test]
async fn cookies_and_credentials_are_not_kept() {
    let bytes = "HTTP/1.1 200 OK\r\nSet-Cookie: s=1\r\nAuthorization: Bearer x\r\nX-A: b\r\nContent-Length: 0\r\n\r\n";
    let receiver = Receiver::answering(bytes).await;
    let response = response(&egress(), &receiver.url()).await;
    let value = |name: &str| {
        response
            .headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.to_str().unwrap())
    };
    assert_eq!(value("set-cookie"), Some("[redacted]"));
    assert_eq!(value("authorization"), Some("[redacted]"));
    assert_eq!(value("x-a"), Some("b"));
}

#[tokio::test]
async fn retry_after_is_read_relative_to_the_callers_clock() {
    // The clock of these tests stands at 2026-01-01T00:00:00Z.
    let cases = [
        ("30", Some(30)),
        ("0", Some(0)),
        ("-1", None),
        ("1e99", None),
        ("99999999999", Some(86_400)),
        ("Wed, 31 Dec 2025 23:59:00 GMT", Some(0)),
        ("Tue, 19 Jan 2038 03:14:08 GMT", Some(86_400)),
        ("later", None),
    ];
    for (value, expected) in cases {
        let bytes =
            format!("HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::answering(bytes).await;
        let response = response(&egress(), &receiver.url()).await;
        assert_eq!(
            response.retry_after.map(|wait| wait.as_secs()),
            expected,
            "{value}"
        );
    }
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let receiver = Receiver::answering("").await;
    let url = receiver.url();
    drop(receiver);
    let egress = egress();
    let mut failure = failure_of(send(&egress, &url, PLENTY).await);
    // The listener is closed by a task that is being aborted.
    while failure.code.as_str() != "connect" {
        failure = failure_of(send(&egress, &url, PLENTY).await);
    }
    assert_eq!(failure.outcome(), Outcome::Unreachable);
    assert!(!failure.is_own_fault);
    assert!(!send(&egress, &url, PLENTY).await.connected);
}

#[tokio::test]
async fn a_connection_that_ends_before_an_answer_is_a_reset() {
    let closes = Receiver::answering("").await;
    assert_eq!(failure_code(&closes.url()).await, "reset");
    let half = Receiver::answering("HTTP/1.1 200 OK\r\nContent-Le").await;
    assert_eq!(failure_code(&half.url()).await, "reset");
    let at_once = Receiver::start(|visit, _number| async move { drop(visit) }).await;
    assert_eq!(failure_code(&at_once.url()).await, "reset");
    let reset = Receiver::start(|mut visit, _number| async move {
        visit.read_request().await;
        visit.reset();
    })
    .await;
    let sent = send(&egress(), &reset.url(), PLENTY).await;
    assert!(sent.connected);
    assert_eq!(failure_of(sent).outcome(), Outcome::Unreachable);
}

#[tokio::test]
async fn what_hangs_ends_at_the_deadline() {
    let silent = Receiver::start(|mut visit, _number| async move { visit.hang().await }).await;
    let head = Receiver::start(|mut visit, _number| async move {
        visit.write(b"HTTP/1.1 200 OK\r\nX: ").await;
        visit.drip(b"x").await;
    })
    .await;
    let body = Receiver::start(|mut visit, _number| async move {
        visit
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            .await;
        visit.drip(b"x").await;
    })
    .await;
    let chunk = Receiver::start(|mut visit, _number| async move {
        visit
            .write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n")
            .await;
        visit.hang().await;
    })
    .await;
    let chunk_header = Receiver::start(|mut visit, _number| async move {
        visit
            .write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
            .await;
        visit.drip(b"x").await;
    })
    .await;
    let egress = egress();
    for (receiver, status) in [
        (silent, None),
        (head, None),
        (body, Some(200)),
        (chunk, Some(200)),
        (chunk_header, Some(200)),
    ] {
        let sent = send(&egress, &receiver.url(), SHORT).await;
        assert!(
            sent.duration >= SHORT && sent.duration < SHORT + Duration::from_secs(3),
            "{sent:?}"
        );
        let failure = failure_of(sent);
        assert_eq!((failure.code.as_str(), failure.status), ("timeout", status));
        assert_eq!(failure.outcome(), Outcome::Timeout);
    }
    assert_eq!(egress.idle_connections(), 0);
}
