//! The production rule in a network of its own, where every address can be had: canaries listen
//! on forbidden addresses, and none may ever see a connection.
//!
//! The test starts itself again inside `unshare --net`. That needs Linux and root (or user
//! namespaces); where it cannot be had, the test says so on standard error.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signpost_egress::{Egress, EgressConfig};

use crate::kit::{PLENTY, Receiver, failure_of, response_of, send};
use crate::name_server::{NameServer, Reply};

const INSIDE: &str = "SIGNPOST_TEST_INSIDE_NAMESPACE";
const PORT: u16 = 8000;

/// Forbidden addresses that the kernel lets one bind.
const CANARIES: &[&str] = &[
    "127.0.0.1",
    "127.0.0.53",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.17.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "240.0.0.1",
    "::1",
    "64:ff9b::7f00:1",
    "100::1",
    "2001:db8::1",
    "2001:20::1",
    "2002:7f00:1::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
];
const PUBLIC: &[&str] = &["93.184.215.14", "2606:2800:21f::1"];

#[test]
fn no_forbidden_address_is_ever_connected() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how the test knows that it runs inside"
    )]
    let is_inside = std::env::var(INSIDE).is_ok();
    if is_inside {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(inside());
    }
    let able = |arguments: &[&str]| {
        let tried = Command::new("unshare")
            .args(arguments)
            .args(["ip", "link"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    let arguments: &[&str] = if able(&["--net"]) {
        &["--net"]
    } else if able(&["--net", "--map-root-user"]) {
        &["--net", "--map-root-user"]
    } else {
        let told =
            b"NOT RUN: no_forbidden_address_is_ever_connected needs `unshare --net` and `ip`\n";
        return std::io::stderr().write_all(told).unwrap(); // Not captured, unlike eprintln.
    };
    let output = Command::new("unshare")
        .args(arguments)
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "namespace::no_forbidden_address_is_ever_connected",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        // Proxies that must not be used; they would be canaries, too.
        .env("http_proxy", "http://10.0.0.1:8000")
        .env("HTTP_PROXY", "http://10.0.0.1:8000")
        .env("ALL_PROXY", "http://10.0.0.1:8000")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

async fn inside() {
    ip(&["link", "set", "lo", "up"]);
    for address in CANARIES.iter().chain(PUBLIC) {
        if !address.starts_with("127.") && *address != "::1" {
            let length = if address.contains(':') { 128 } else { 32 };
            let added: &[&str] = &["addr", "add", &format!("{address}/{length}"), "dev", "lo"];
            ip(&[added, if length == 128 { &["nodad"] } else { &[] }].concat());
        }
    }
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut canaries = Vec::new();
    for address in CANARIES {
        let receiver = Receiver::start_at(at(address), move |mut visit, _| async move {
            visit.write(answer.as_bytes()).await;
        });
        canaries.push(receiver.await);
    }
    for canary in &canaries {
        drop(
            tokio::net::TcpStream::connect(canary.address)
                .await
                .unwrap(),
        );
    }
    crate::kit::wait_until(
        "each canary has seen our check that it can be reached",
        || canaries.iter().all(|canary| canary.connections() == 1),
    )
    .await;
    let mut public = Vec::new();
    for address in PUBLIC {
        // Sends everyone on to a forbidden address.
        let redirect = "HTTP/1.1 307 Temporary Redirect\r\n\
                        Location: http://169.254.169.254:8000/\r\nContent-Length: 0\r\n\r\n";
        let receiver = Receiver::start_at(at(address), move |mut visit, _| async move {
            while visit.read_request().await.is_some() {
                visit.write(redirect.as_bytes()).await;
            }
        });
        public.push(receiver.await);
    }
    let forbidden: Arc<Vec<IpAddr>> =
        Arc::new(CANARIES.iter().map(|a| a.parse().unwrap()).collect());
    let allowed: Vec<IpAddr> = PUBLIC.iter().map(|a| a.parse().unwrap()).collect();
    let reached = allowed.clone();
    let turn = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&turn);
    let script = move |name: &str| {
        let label = name.split('.').next().unwrap_or_default();
        let index = |text: &str| text[1..].parse::<usize>().unwrap();
        match label.as_bytes().first() {
            // d7: the seventh canary; m7: the same and a public address; f: each time another IPv4 address.
            Some(b'd') => Reply::Addresses(vec![forbidden[index(label)]], 0),
            Some(b'm') => {
                Reply::Addresses([allowed.as_slice(), &[forbidden[index(label)]]].concat(), 0)
            }
            Some(b'f') => match now.load(Ordering::SeqCst) {
                turn if turn.is_multiple_of(2) => Reply::Addresses(vec![allowed[0]], 0),
                turn => Reply::Addresses(vec![forbidden[turn / 2 % 18]], 0),
            },
            Some(b'p') => Reply::Addresses(allowed.clone(), 0),
            Some(_) | None => Reply::Code(3),
        }
    };
    let server = NameServer::start(script).await;
    let egress = Egress::new(&EgressConfig {
        https_only: false,
        name_servers: vec![server.address],
        ..EgressConfig::default()
    })
    .unwrap();

    for ip in &reached {
        let url = format!("http://{}/", SocketAddr::new(*ip, PORT));
        let sent = send(&egress, &url, PLENTY).await;
        assert_eq!(response_of(sent).status, 307, "{url}");
    }
    let by_name = send(&egress, "http://p.example.com:8000/", PLENTY).await;
    assert_eq!(response_of(by_name).status, 307);
    for (index, canary) in canaries.iter().enumerate() {
        assert!(
            egress
                .target(&format!("http://{}/", canary.address))
                .is_err()
        );
        for kind in ["d", "m"] {
            let url = format!("http://{kind}{index}.example.com:{PORT}/");
            let failure = failure_of(send(&egress, &url, PLENTY).await);
            assert_eq!(
                failure.code.as_str(),
                "target_not_allowed",
                "{url} {}",
                canary.address
            );
        }
    }
    for number in 0..1000 {
        turn.store(number, Ordering::SeqCst);
        let sent = send(&egress, "http://f.example.com:8000/", PLENTY).await;
        if number.is_multiple_of(2) {
            assert_eq!(response_of(sent).status, 307);
        } else {
            assert_eq!(failure_of(sent).code.as_str(), "target_not_allowed");
        }
    }
    let touched: Vec<_> = canaries
        .iter()
        .filter(|canary| canary.connections() != 1)
        .map(|c| c.address)
        .collect();
    assert_eq!(touched, Vec::<SocketAddr>::new());
}

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), PORT)
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "ip {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
