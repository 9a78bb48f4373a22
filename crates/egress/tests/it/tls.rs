//! TLS: certificates with faults, handshakes that fail or hang, and endings without a goodbye.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use signpost_domain::Outcome;
use signpost_egress::{Egress, EgressConfig, Failure};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::kit::{PLENTY, Receiver, config, failure_of, read_request, response, response_of, send};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An authority of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A receiver's identity, changed as a test needs it.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (params, key) = identity(change);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity::new(certificate.der(), &key)
    }

    /// An egress that trusts this authority.
    fn trusted(&self) -> Egress {
        Egress::new(&EgressConfig {
            extra_ca_pem: Some(self.pem.clone()),
            connect_timeout: Duration::from_secs(5),
            ..config()
        })
        .unwrap()
    }
}

fn identity(change: impl FnOnce(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    change(&mut params);
    (params, KeyPair::generate().unwrap())
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// The protocols it offers; empty means that it does not care.
    protocols: Vec<Vec<u8>>,
}

impl Identity {
    fn new(certificate: &CertificateDer<'static>, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            protocols: vec![],
        }
    }

    /// A receiver with this identity whose connections end up in `handle`.
    async fn serve<R>(
        self,
        handle: impl Fn(TlsStream<TcpStream>) -> R + Clone + Send + Sync + 'static,
    ) -> Receiver
    where
        R: Future<Output = ()> + Send + 'static,
    {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate], self.key)
            .unwrap();
        config.alpn_protocols = self.protocols;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Receiver::start(move |visit, _number| {
            let (acceptor, handle) = (acceptor.clone(), handle.clone());
            async move {
                if let Ok(stream) = acceptor.accept(visit.stream).await {
                    handle(stream).await;
                }
            }
        })
        .await
    }

    /// Answers every request with 200.
    async fn serve_ok(self) -> Receiver {
        self.serve(|mut stream| async move {
            while read_request(&mut stream).await.is_some() {
                stream.write_all(OK).await.unwrap();
            }
        })
        .await
    }
}

fn https(receiver: &Receiver) -> String {
    format!("https://localhost:{}/hook", receiver.address.port())
}

async fn failure(egress: &Egress, receiver: &Receiver) -> Failure {
    let failure = failure_of(send(egress, &https(receiver), PLENTY).await);
    assert_eq!(failure.outcome(), Outcome::TlsError, "{failure:?}");
    failure
}

#[tokio::test]
async fn delivers_over_tls_and_uses_the_connection_again() {
    let authority = Authority::new();
    let receiver = authority.issue(|_params| {}).serve_ok().await;
    let egress = authority.trusted();
    for reused in [false, true, true] {
        let sent = send(&egress, &https(&receiver), PLENTY).await;
        assert_eq!(sent.reused, reused);
        assert_eq!(response_of(sent).body.as_ref(), b"ok");
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn offers_http_1_1_and_the_hosts_name() {
    let authority = Authority::new();
    let receiver = authority
        .issue(|_params| {})
        .serve(|mut stream| async move {
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            read_request(&mut stream).await;
            let status = if name.as_deref() == Some("localhost") {
                200
            } else {
                400
            };
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
    assert_eq!(
        response(&authority.trusted(), &https(&receiver))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn does_not_speak_http_2() {
    let authority = Authority::new();
    let offering = |protocols: &[&[u8]]| {
        let mut identity = authority.issue(|_params| {});
        identity.protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        identity.serve_ok()
    };
    let egress = authority.trusted();
    let both = offering(&[b"h2", b"http/1.1"]).await;
    assert_eq!(response(&egress, &https(&both)).await.status, 200);
    let only = offering(&[b"h2"]).await;
    assert_eq!(failure(&egress, &only).await.code.as_str(), "tls_other");
}

#[tokio::test]
async fn an_address_is_verified_as_an_address() {
    let authority = Authority::new();
    let identity = authority.issue(|params| {
        params.subject_alt_names = vec![SanType::IpAddress(IpAddr::from([127, 0, 0, 1]))];
    });
    let receiver = identity.serve_ok().await;
    let url = format!("https://{}/", receiver.address);
    assert_eq!(response(&authority.trusted(), &url).await.status, 200);
    assert_eq!(
        failure(&authority.trusted(), &receiver).await.code.as_str(),
        "tls_wrong_host"
    );
}

#[tokio::test]
async fn bad_certificates_are_refused_each_by_its_name() {
    let authority = Authority::new();
    let egress = authority.trusted();
    let expired = authority.issue(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let early = authority.issue(|params| params.not_before = date_time_ymd(4000, 1, 1));
    let wrong_host = authority.issue(|params| {
        params.subject_alt_names = vec![SanType::DnsName("other.example.com".try_into().unwrap())];
    });
    let unknown = Authority::new().issue(|_params| {});
    let self_signed = |change: fn(&mut CertificateParams)| {
        let (params, key) = identity(change);
        Identity::new(params.self_signed(&key).unwrap().der(), &key)
    };
    let alone = self_signed(|params| params.distinguished_name = DistinguishedName::new());
    let like_openssl = self_signed(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    for (identity, code) in [
        (expired, "tls_expired"),
        (early, "tls_not_yet_valid"),
        (wrong_host, "tls_wrong_host"),
        (unknown, "tls_unknown_ca"),
        (alone, "tls_unknown_ca"),
        (like_openssl, "tls_unknown_ca"),
    ] {
        let receiver = identity.serve_ok().await;
        assert_eq!(failure(&egress, &receiver).await.code.as_str(), code);
        assert_eq!(receiver.requests(), 0);
    }
}

#[tokio::test]
async fn handshakes_that_fail_are_tls_errors() {
    let cases: &[(&str, &[u8])] = &[
        (
            "plain HTTP",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        ("alert: handshake failure", &[0x15, 3, 3, 0, 2, 2, 40]),
        ("closed", b""),
        // A ServerHello that settles on TLS 1.1.
        (
            "TLS 1.1",
            &[
                0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
                14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0,
                0xc0, 0x13, 0,
            ],
        ),
    ];
    let egress = Authority::new().trusted();
    for (what, bytes) in cases {
        let receiver = Receiver::start(move |mut visit, _number| async move {
            visit.write(bytes).await;
        })
        .await;
        let failure = failure(&egress, &receiver).await;
        assert_eq!(failure.code.as_str(), "tls_other", "{what}");
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_within_the_time_for_connecting() {
    let hang = Receiver::start(|mut visit, _number| async move { visit.hang().await }).await;
    let drip = Receiver::start(|mut visit, _number| async move {
        visit.drip(&[0x16, 3, 3, 0x3f, 0xff]).await;
    })
    .await;
    let egress = Egress::new(&EgressConfig {
        connect_timeout: Duration::from_millis(200),
        ..config()
    })
    .unwrap();
    for receiver in [hang, drip] {
        let sent = send(&egress, &https(&receiver), PLENTY).await;
        assert!(sent.duration < Duration::from_secs(3), "{sent:?}");
        let failure = failure_of(sent);
        assert_eq!(failure.outcome(), Outcome::TlsError);
    }
}

#[tokio::test]
async fn a_handshake_that_floods_ends_early() {
    // Records of a kind that may be ignored, without end.
    let receiver = Receiver::start(|mut visit, _number| async move {
        visit
            .flood(&[0x16, 3, 3, 0, 4, 0, 0, 0, 0].repeat(100))
            .await;
    })
    .await;
    let sent = send(&Authority::new().trusted(), &https(&receiver), PLENTY).await;
    assert!(sent.duration < PLENTY / 2);
    assert_eq!(failure_of(sent).outcome(), Outcome::TlsError);
}

#[tokio::test]
async fn an_ending_without_close_notify_counts_when_the_body_is_complete() {
    let authority = Authority::new();
    let serve = |answer: &'static [u8]| {
        authority
            .issue(|_params| {})
            .serve(move |mut stream| async move {
                read_request(&mut stream).await;
                stream.write_all(answer).await.unwrap();
                stream.flush().await.unwrap();
                // Dropping the stream closes TCP and says nothing in TLS.
            })
    };
    let egress = authority.trusted();
    let sized = response(&egress, &https(&serve(OK).await)).await;
    assert!(!sized.body_incomplete);
    let until_close = response(&egress, &https(&serve(b"HTTP/1.1 200 OK\r\n\r\nok").await)).await;
    assert_eq!(
        (until_close.body.as_ref(), until_close.body_incomplete),
        (b"ok".as_slice(), true)
    );
}

#[tokio::test]
async fn an_answer_in_many_small_records_counts() {
    let authority = Authority::new();
    let receiver = authority
        .issue(|_params| {})
        .serve(|mut stream| async move {
            read_request(&mut stream).await;
            for byte in OK {
                stream.write_all(&[*byte]).await.unwrap();
                stream.flush().await.unwrap();
            }
        })
        .await;
    assert_eq!(
        response(&authority.trusted(), &https(&receiver))
            .await
            .body
            .as_ref(),
        b"ok"
    );
}

#[tokio::test]
async fn an_authority_that_is_none_is_refused_at_the_start() {
    for pem in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let config = EgressConfig {
            extra_ca_pem: Some(pem.to_owned()),
            ..config()
        };
        assert!(Egress::new(&config).is_err(), "{pem:?}");
    }
}
