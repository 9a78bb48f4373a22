//! Which connections are used again, and that no POST is made twice.

use std::time::Duration;

use signpost_egress::{Egress, EgressConfig};

use crate::kit::{
    PLENTY, Receiver, config, egress, failure_of, request, response, response_of, send, wait_until,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Sends twice to a receiver that answers every request with these bytes; gives how many
/// connections it took.
async fn connections_for_two(bytes: &'static str) -> usize {
    let receiver = Receiver::keeping_alive(bytes).await;
    let egress = egress();
    let first = response(&egress, &receiver.url()).await;
    let second = response(&egress, &receiver.url()).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert_eq!(receiver.requests(), 2);
    receiver.connections()
}

#[tokio::test]
async fn a_connection_is_used_again_and_again() {
    let receiver = Receiver::keeping_alive(OK).await;
    let egress = egress();
    let request = request(&egress, &receiver.url(), PLENTY);
    for number in 0..50 {
        let sent = egress.send(&request).await;
        assert_eq!(sent.reused, number > 0);
        assert_eq!(response_of(sent).body.as_ref(), b"ok");
    }
    assert_eq!((receiver.connections(), receiver.requests()), (1, 50));
    assert_eq!(egress.idle_connections(), 1);
}

#[tokio::test]
async fn every_complete_answer_leaves_the_connection_usable() {
    let reusable = [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Length: 0\r\n\r\n",
    ];
    for bytes in reusable {
        assert_eq!(connections_for_two(bytes).await, 1, "{bytes}");
    }
}

#[tokio::test]
async fn a_connection_in_doubt_is_not_used_again() {
    let doubtful = [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        // A body where there must be none.
        "HTTP/1.1 204 No Content\r\n\r\nbody",
        "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
        // More than the length says: the beginning of a forged answer.
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Forged\r\n\r\n",
        // The receiver closes it before we would come again.
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
    ];
    for bytes in doubtful {
        assert_eq!(connections_for_two(bytes).await, 2, "{bytes}");
    }
}

#[tokio::test]
async fn two_kinds_of_length_at_once_are_flagged_and_the_connection_dropped() {
    let bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    assert_eq!(connections_for_two(bytes).await, 2);
    let receiver = Receiver::answering(bytes).await;
    assert!(response(&egress(), &receiver.url()).await.ambiguous_length);
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_nothing() {
    // The receiver closes after each answer without saying so.
    let receiver = Receiver::answering(OK).await;
    let egress = egress();
    for _ in 0..20 {
        let sent = send(&egress, &receiver.url(), PLENTY).await;
        assert_eq!(response_of(sent).status, 200);
    }
    assert_eq!(receiver.requests(), 20);
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_sent_again() {
    // The second request on a connection is read and then the connection closed.
    let receiver = Receiver::start(|mut visit, _number| async move {
        visit.read_request().await;
        visit.write(OK.as_bytes()).await;
        visit.read_request().await;
    })
    .await;
    let egress = egress();
    assert_eq!(response(&egress, &receiver.url()).await.status, 200);
    let sent = send(&egress, &receiver.url(), PLENTY).await;
    assert!(sent.reused && sent.connected);
    assert_eq!(failure_of(sent).code.as_str(), "reset");
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
}

#[tokio::test]
async fn a_request_that_was_reset_is_not_sent_again() {
    let receiver = Receiver::start(|mut visit, _number| async move {
        visit.read_request().await;
        visit.write(OK.as_bytes()).await;
        visit.read_request().await;
        visit.reset();
    })
    .await;
    let egress = egress();
    assert_eq!(response(&egress, &receiver.url()).await.status, 200);
    assert_eq!(
        failure_of(send(&egress, &receiver.url(), PLENTY).await)
            .code
            .as_str(),
        "reset"
    );
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
}

#[tokio::test]
async fn connections_are_not_shared_between_hosts() {
    // Two names for one address: the key is host and address.
    let receiver = Receiver::keeping_alive(OK).await;
    let egress = egress();
    let port = receiver.address.port();
    for host in ["127.0.0.1", "localhost"] {
        let sent = send(&egress, &format!("http://{host}:{port}/"), PLENTY).await;
        assert!(!sent.reused);
        assert_eq!(response_of(sent).status, 200);
    }
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn idle_connections_are_bounded() {
    let receiver = Receiver::keeping_alive(OK).await;
    let egress = Egress::new(&EgressConfig {
        max_idle_per_host: 3,
        ..config()
    })
    .unwrap();
    let request = request(&egress, &receiver.url(), PLENTY);
    let sends = (0..10).map(|_| egress.send(&request));
    for sent in futures::future::join_all(sends).await {
        assert_eq!(response_of(sent).status, 200);
    }
    assert!(egress.idle_connections() <= 3);
    let few = Egress::new(&EgressConfig {
        max_idle: 0,
        ..config()
    })
    .unwrap();
    response(&few, &receiver.url()).await;
    assert_eq!(few.idle_connections(), 0);
}

#[tokio::test]
async fn idle_and_old_connections_are_dropped() {
    let receiver = Receiver::keeping_alive(OK).await;
    let brief = Egress::new(&EgressConfig {
        idle_timeout: Duration::from_millis(100),
        ..config()
    })
    .unwrap();
    response(&brief, &receiver.url()).await;
    wait_until("the idle connection is dropped", || {
        brief.idle_connections() == 0
    })
    .await;
    // And again: the sweeping starts anew.
    response(&brief, &receiver.url()).await;
    wait_until("the idle connection is dropped", || {
        brief.idle_connections() == 0
    })
    .await;
    let young = Egress::new(&EgressConfig {
        max_connection_age: Duration::ZERO,
        ..config()
    })
    .unwrap();
    response(&young, &receiver.url()).await;
    assert_eq!(young.idle_connections(), 0);
}
