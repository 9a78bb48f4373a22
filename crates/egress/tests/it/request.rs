//! What goes over the wire.

use http::{HeaderName, HeaderValue};
use tokio::sync::mpsc;

use crate::kit::{PLENTY, Receiver, egress, request, response_of};

/// Sends one request with these headers and body and gives its bytes.
async fn wire(headers: &[(&str, &[u8])], body: &'static str) -> String {
    let (sender, mut bytes) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut visit, _number| {
        let sender = sender.clone();
        async move {
            sender.send(visit.read_request().await.unwrap()).unwrap();
            visit.write(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    let egress = egress();
    let mut request = request(&egress, &receiver.url(), PLENTY);
    request.headers = headers
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_bytes(value).unwrap())
        })
        .collect();
    request.body = body.into();
    assert_eq!(response_of(egress.send(&request).await).status, 204);
    let text = String::from_utf8(bytes.recv().await.unwrap()).unwrap();
    text.replace(&receiver.address.to_string(), "HOST")
}

#[tokio::test]
async fn sends_a_plain_post_with_the_callers_headers() {
    let text = wire(
        &[
            ("content-type", b"application/json"),
            ("webhook-id", b"evt_1"),
            ("x-signature", b"abc"),
            ("x-twice", b"1"),
            ("x-twice", b"2"),
        ],
        "{\"a\":1}",
    )
    .await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("POST /hook HTTP/1.1"));
    let mut headers: Vec<_> = lines.collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "Accept-Encoding: identity",
            "Content-Length: 7",
            "Content-Type: application/json",
            "Host: HOST",
            concat!("User-Agent: Signpost/", env!("CARGO_PKG_VERSION")),
            "Webhook-Id: evt_1",
            "X-Signature: abc",
            "X-Twice: 1",
            "X-Twice: 2",
        ]
    );
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn sets_the_length_of_an_empty_body() {
    let text = wire(&[], "").await;
    assert!(text.contains("\r\nContent-Length: 0\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn keeps_the_profiles_user_agent_and_drops_what_would_change_the_framing() {
    let text = wire(
        &[
            ("user-agent", b"LicenseManager-Webhook/1.0"),
            ("host", b"evil.example"),
            ("content-length", b"999"),
            ("transfer-encoding", b"chunked"),
            ("connection", b"close"),
            ("expect", b"100-continue"),
            ("upgrade", b"h2c"),
            ("te", b"trailers"),
            ("trailer", b"x"),
            ("accept-encoding", b"gzip"),
        ],
        "{}",
    )
    .await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut headers: Vec<_> = head.split("\r\n").skip(1).collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "Accept-Encoding: identity",
            "Content-Length: 2",
            "Host: HOST",
            "User-Agent: LicenseManager-Webhook/1.0",
        ]
    );
    assert_eq!(body, "{}");
}
