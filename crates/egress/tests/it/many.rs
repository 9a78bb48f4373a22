//! Fifty of each hostile kind at once, with healthy receivers beside them that must not notice.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::kit::{PLENTY, Receiver, SHORT, egress, failure_of, request, response_of, send};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const AT_ONCE: usize = 50;

async fn flooding(bytes: String) -> Receiver {
    Receiver::start(move |mut visit, _number| {
        let bytes = bytes.clone();
        async move {
            visit.read_request().await;
            visit.flood(bytes.as_bytes()).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_receivers_leave_the_healthy_ones_alone() {
    let hostile = [
        (
            "hang",
            Receiver::start(|mut visit, _| async move { visit.hang().await }).await,
        ),
        (
            "drip",
            Receiver::start(|mut visit, _| async move {
                visit.drip(b"HTTP/1.1 100 Continue\r\n\r\n").await;
            })
            .await,
        ),
        (
            "interim flood",
            flooding("HTTP/1.1 100 Continue\r\n\r\n".repeat(100)).await,
        ),
        (
            "hint flood",
            flooding("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(50)).await,
        ),
        (
            "endless header",
            flooding("HTTP/1.1 200 OK\r\nX: ".to_owned() + &"a".repeat(4096)).await,
        ),
        ("garbage", flooding("\u{1}\u{2}\u{3}".repeat(1000)).await),
        ("close", Receiver::answering("").await),
        (
            "reset",
            Receiver::start(|mut visit, _| async move {
                visit.read_request().await;
                visit.reset();
            })
            .await,
        ),
    ];
    let healthy = Receiver::keeping_alive(OK).await;
    let egress = egress();
    let attack = |what: &'static str, url: String, timeout: Duration| {
        let egress = Arc::clone(&egress);
        tokio::spawn(async move { (what, send(&egress, &url, timeout).await) })
    };
    let mut attacks = Vec::new();
    for (what, receiver) in &hostile {
        let timeout = if is_endless(what) { SHORT } else { PLENTY };
        attacks.extend((0..AT_ONCE).map(|_| attack(what, receiver.url(), timeout)));
    }
    let request = Arc::new(request(&egress, &healthy.url(), PLENTY));
    let work = |_| {
        let (egress, request) = (Arc::clone(&egress), Arc::clone(&request));
        tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            for _ in 0..20 {
                let sent = egress.send(&request).await;
                slowest = slowest.max(sent.duration);
                assert_eq!(response_of(sent).status, 200);
            }
            slowest
        })
    };
    let work: Vec<_> = (0..AT_ONCE).map(work).collect();

    for attack in join_all(attacks).await {
        let (what, sent) = attack.unwrap();
        // A busy machine may be late, but never by as much as the receiver would like.
        let limit = if is_endless(what) {
            SHORT
        } else {
            Duration::ZERO
        } + PLENTY / 2;
        assert!(sent.duration < limit, "{what} took {:?}", sent.duration);
        let code = failure_of(sent).code.as_str();
        let expected = match what {
            "hang" | "drip" => "timeout",
            "close" | "reset" => "reset",
            _ => "protocol",
        };
        assert_eq!(code, expected, "{what}");
    }
    for slowest in join_all(work).await {
        let slowest = slowest.unwrap();
        assert!(
            slowest < PLENTY / 2,
            "a healthy receiver waited {slowest:?}"
        );
    }
    assert_eq!(healthy.requests(), AT_ONCE * 20);
}

fn is_endless(what: &str) -> bool {
    ["hang", "drip"].contains(&what)
}
