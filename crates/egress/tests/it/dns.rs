//! Names: what is asked, what is refused, and whose fault it is when there is no answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signpost_domain::Outcome;
use signpost_egress::{Egress, EgressConfig, Failure};

use crate::kit::{PLENTY, Receiver, config, failure_of, response, send};
use crate::name_server::{NameServer, Reply, addresses};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BUDGET: Duration = Duration::from_millis(300);

fn asking(server: &NameServer) -> Egress {
    Egress::new(&EgressConfig {
        name_servers: vec![server.address],
        dns_timeout: BUDGET,
        ..config()
    })
    .unwrap()
}

/// The failure for a host whose every question gets this reply; the root is always answered.
async fn failure(reply: Reply) -> Failure {
    let root = Reply::Code(0);
    let server = NameServer::start(move |name| {
        if name.is_empty() {
            root.clone()
        } else {
            reply.clone()
        }
    })
    .await;
    let sent = send(&asking(&server), "http://hooks.example.com:8000/", PLENTY).await;
    assert!(!sent.connected);
    assert!(sent.duration < BUDGET + Duration::from_secs(3), "{sent:?}");
    failure_of(sent)
}

#[tokio::test]
async fn connects_to_the_address_and_keeps_the_name_in_the_host_header() {
    let receiver = Receiver::start(|mut visit, _number| async move {
        let request = String::from_utf8(visit.read_request().await.unwrap()).unwrap();
        let is_right = request.contains("\r\nHost: hooks.example.com:");
        visit
            .write(format!("HTTP/1.1 {} X\r\n\r\n", if is_right { 200 } else { 400 }).as_bytes())
            .await;
    })
    .await;
    let server = NameServer::start(|_| addresses(&["127.0.0.1"])).await;
    let url = format!("http://hooks.example.com:{}/", receiver.address.port());
    assert_eq!(response(&asking(&server), &url).await.status, 200);
}

#[tokio::test]
async fn one_forbidden_address_refuses_the_whole_name() {
    let receiver = Receiver::keeping_alive(OK).await;
    let url = format!("http://mixed.example.com:{}/", receiver.address.port());
    for forbidden in [
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "fd00::1",
        "0.0.0.0",
    ] {
        for both in [["127.0.0.1", forbidden], [forbidden, "127.0.0.1"]] {
            let server = NameServer::start(move |_| addresses(&both)).await;
            let failure = failure_of(send(&asking(&server), &url, PLENTY).await);
            assert_eq!(failure.code.as_str(), "target_not_allowed", "{both:?}");
            assert_eq!(failure.outcome(), Outcome::Blocked);
            assert!(
                !failure.detail.contains(forbidden),
                "the tenant is not told the address"
            );
            assert!(failure.detail.contains("SIGNPOST_EGRESS_ALLOW"));
        }
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_that_flips_is_judged_at_every_attempt() {
    let receiver = Receiver::keeping_alive(OK).await;
    let is_inside = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&is_inside);
    let server = NameServer::start(move |_| {
        addresses(&[if now.load(Ordering::SeqCst) {
            "10.0.0.1"
        } else {
            "127.0.0.1"
        }])
    })
    .await;
    let egress = asking(&server);
    let url = format!("http://flip.example.com:{}/", receiver.address.port());
    for _ in 0..100 {
        is_inside.store(false, Ordering::SeqCst);
        assert_eq!(response(&egress, &url).await.status, 200);
        // There is an idle connection, but it is of no use to a name that points elsewhere.
        is_inside.store(true, Ordering::SeqCst);
        let failure = failure_of(send(&egress, &url, PLENTY).await);
        assert_eq!(failure.code.as_str(), "target_not_allowed");
    }
    assert_eq!((receiver.connections(), receiver.requests()), (1, 100));
}

#[tokio::test]
async fn a_registration_is_refused_only_for_a_forbidden_address() {
    let server = NameServer::start(|name| match name {
        "inside.example.com" => addresses(&["10.0.0.1"]),
        "outside.example.com" => addresses(&["127.0.0.1"]),
        _ => Reply::Code(3),
    })
    .await;
    let egress = asking(&server);
    assert!(egress.check("http://outside.example.com/").await.is_ok());
    assert!(egress.check("http://unknown.example.com/").await.is_ok());
    assert!(egress.check("http://10.0.0.1/").await.is_err());
    let error = egress
        .check("http://inside.example.com/")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("SIGNPOST_EGRESS_ALLOW") && !error.contains("10.0.0.1"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_is_remembered_for_its_ttl() {
    let receiver = Receiver::keeping_alive(OK).await;
    let is_down = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&is_down);
    let server = NameServer::start(move |_| {
        if now.load(Ordering::SeqCst) {
            return Reply::Code(2);
        }
        Reply::Addresses(vec!["127.0.0.1".parse().unwrap()], 30)
    })
    .await;
    let egress = asking(&server);
    let url = format!("http://hooks.example.com:{}/", receiver.address.port());
    for _ in 0..20 {
        assert_eq!(response(&egress, &url).await.status, 200);
        is_down.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_alias_is_followed_and_its_target_judged() {
    let receiver = Receiver::keeping_alive(OK).await;
    let server = NameServer::start(|name| match name {
        "good.example.com" => Reply::Alias("real.example.net".to_owned()),
        "real.example.net" => addresses(&["127.0.0.1"]),
        "bad.example.com" => Reply::Alias("inside.example.net".to_owned()),
        "inside.example.net" => addresses(&["192.168.0.1"]),
        // A loop.
        _ => Reply::Alias("loop.example.com".to_owned()),
    })
    .await;
    let egress = asking(&server);
    let url = |host: &str| format!("http://{host}:{}/", receiver.address.port());
    assert_eq!(
        response(&egress, &url("good.example.com")).await.status,
        200
    );
    let bad = failure_of(send(&egress, &url("bad.example.com"), PLENTY).await);
    assert_eq!(bad.code.as_str(), "target_not_allowed");
    let endless = failure_of(send(&egress, &url("loop.example.com"), PLENTY).await);
    assert_eq!(endless.outcome(), Outcome::Unreachable);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let receiver = Receiver::keeping_alive(OK).await;
    let server = NameServer::start(|_| addresses(&["127.0.0.9", "127.0.0.1"])).await;
    let url = format!("http://two.example.com:{}/", receiver.address.port());
    assert_eq!(response(&asking(&server), &url).await.status, 200);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_unreachable() {
    for reply in [Reply::Code(3), addresses(&[])] {
        let failure = failure(reply).await;
        assert_eq!(failure.code.as_str(), "dns_not_found");
        assert_eq!(failure.outcome(), Outcome::Unreachable);
        assert!(!failure.is_own_fault);
    }
}

#[tokio::test]
async fn name_servers_that_fail_for_one_name_are_its_owners_fault() {
    let cases = [
        (Reply::Code(2), "dns_failed"),
        (Reply::Code(5), "dns_failed"),
        (Reply::Truncated, "dns_failed"),
        (Reply::Silence, "dns_timeout"),
        (
            Reply::WrongId(vec!["127.0.0.1".parse().unwrap()]),
            "dns_timeout",
        ),
    ];
    for (reply, code) in cases {
        let failure = failure(reply.clone()).await;
        assert_eq!(failure.code.as_str(), code, "{reply:?}");
        assert_eq!(failure.outcome(), Outcome::Unreachable);
        assert!(!failure.is_own_fault, "{reply:?}");
    }
    let failure = failure(Reply::Garbage).await;
    assert_eq!(failure.outcome(), Outcome::Unreachable);
}

#[tokio::test]
async fn more_than_sixteen_addresses_are_refused() {
    let many = |count: u8| (1..=count).map(|n| [127, 0, 0, n].into()).collect();
    let failure = failure(Reply::Addresses(many(17), 0)).await;
    assert_eq!(failure.code.as_str(), "dns_failed");
    let receiver = Receiver::keeping_alive(OK).await;
    let server = NameServer::start(move |_| Reply::Addresses(many(16), 0)).await;
    let url = format!("http://many.example.com:{}/", receiver.address.port());
    assert_eq!(response(&asking(&server), &url).await.status, 200);
}

#[tokio::test]
async fn a_resolver_that_answers_nothing_is_our_own_fault() {
    for reply in [Reply::Silence, Reply::Code(2), Reply::Code(5)] {
        let said = reply.clone();
        let server = NameServer::start(move |_| reply.clone()).await;
        let failure = failure_of(send(&asking(&server), "http://hooks.example.com/", PLENTY).await);
        assert!(failure.is_own_fault, "{said:?}: {failure:?}");
        assert_eq!(failure.outcome(), Outcome::Unreachable);
    }
    // Nobody listens there.
    let egress = Egress::new(&EgressConfig {
        dns_timeout: BUDGET,
        ..config()
    })
    .unwrap();
    assert!(failure_of(send(&egress, "http://hooks.example.com/", PLENTY).await).is_own_fault);
}

#[tokio::test]
async fn the_look_up_counts_against_the_deadline() {
    let server = NameServer::start(|_| Reply::Silence).await;
    let sent = send(&asking(&server), "http://hooks.example.com/", BUDGET / 4).await;
    assert!(sent.duration < BUDGET / 4 + Duration::from_secs(3));
    assert_eq!(failure_of(sent).code.as_str(), "dns_timeout");
}
