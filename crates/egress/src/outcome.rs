//! Puts a name to what went wrong, and decides whose fault it was. The one place that does.
//!
//! The receiver's faults count against its endpoint. Our own (no file handles left, a DNS server
//! that does not answer anything) are marked `is_own_fault`: the caller defers the delivery, and
//! no endpoint is blamed.
//!
//! The detail is shown to the tenant. It is made of fixed texts: never an address that was
//! refused, never the text of a library's error.

use std::borrow::Cow;
use std::io;

use signpost_domain::Outcome;

use crate::{TargetError, meter::Meter};

/// Why there is no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub code: FailureCode,
    /// The same for a person.
    pub detail: Cow<'static, str>,
    /// The status, when it was received before things went wrong.
    pub status: Option<u16>,
    /// Whether the fault is on our side: the attempt says nothing about the receiver.
    pub is_own_fault: bool,
}

macro_rules! failure_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal => $outcome:ident),+ $(,)?) => {
        /// What went wrong; refines [`Outcome`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FailureCode {
            $($(#[$doc])* $variant,)+
        }

        impl FailureCode {
            /// The code as it is stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The outcome that the code refines.
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome,)+ }
            }
        }
    };
}

failure_codes! {
    /// The URL or one of its host's addresses must not be reached.
    TargetNotAllowed = "target_not_allowed" => Blocked,
    /// The host has no address.
    DnsNotFound = "dns_not_found" => Unreachable,
    /// The name servers could not say.
    DnsFailed = "dns_failed" => Unreachable,
    /// The name servers did not say in time.
    DnsTimeout = "dns_timeout" => Unreachable,
    /// No connection.
    Connect = "connect" => Unreachable,
    /// No connection within the time for connecting.
    ConnectTimeout = "connect_timeout" => Unreachable,
    /// The connection broke before an answer.
    Reset = "reset" => Unreachable,
    /// We ran out of something.
    OwnResources = "own_resources" => Unreachable,
    /// The certificate has expired.
    TlsExpired = "tls_expired" => TlsError,
    /// The certificate is not valid yet.
    TlsNotYetValid = "tls_not_yet_valid" => TlsError,
    /// The certificate is not from an authority we trust.
    TlsUnknownCa = "tls_unknown_ca" => TlsError,
    /// The certificate is for another host.
    TlsWrongHost = "tls_wrong_host" => TlsError,
    /// The handshake was not complete within the time for connecting.
    TlsTimeout = "tls_timeout" => TlsError,
    /// The handshake failed otherwise.
    TlsOther = "tls_other" => TlsError,
    /// The deadline passed before the answer was complete.
    Timeout = "timeout" => Timeout,
    /// The answer was not HTTP, or broke a limit.
    Protocol = "protocol" => ProtocolError,
}

impl Failure {
    /// The outcome of the attempt.
    pub fn outcome(&self) -> Outcome {
        self.code.outcome()
    }

    pub(crate) fn new(code: FailureCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            status: None,
            is_own_fault: false,
        }
    }

    pub(crate) fn own_fault(code: FailureCode, detail: &'static str) -> Self {
        Self {
            is_own_fault: true,
            ..Self::new(code, detail)
        }
    }

    pub(crate) fn forbidden_address() -> Self {
        Self::new(
            FailureCode::TargetNotAllowed,
            "an address of this host must not be reached: it is not public \
             (the operator can allow ranges with SIGNPOST_EGRESS_ALLOW)",
        )
    }

    pub(crate) fn protocol(detail: &'static str) -> Self {
        Self::new(FailureCode::Protocol, detail)
    }

    /// The deadline passed after the request was on its way.
    pub(crate) fn timeout(status: Option<u16>) -> Self {
        let detail = match status {
            None => "no answer before the deadline",
            Some(_) => "the answer was not complete at the deadline",
        };
        Self {
            status,
            ..Self::new(FailureCode::Timeout, detail)
        }
    }

    /// The time for connecting has passed.
    pub(crate) fn connect_timeout() -> Self {
        Self::new(FailureCode::ConnectTimeout, "no connection in time")
    }

    /// The time for connecting has passed during the TLS handshake.
    pub(crate) fn tls_timeout() -> Self {
        Self::new(FailureCode::TlsTimeout, "the TLS handshake took too long")
    }

    /// A TCP connection could not be opened.
    pub(crate) fn from_connect(error: &io::Error) -> Self {
        if is_own_shortage(error) {
            let detail = "Signpost has no file handle or port left for a connection";
            return Self::own_fault(FailureCode::OwnResources, detail);
        }
        let detail = match error.kind() {
            io::ErrorKind::ConnectionRefused => "the connection was refused",
            io::ErrorKind::TimedOut => return Self::connect_timeout(),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                "the host cannot be reached"
            }
            _ => "no connection could be made",
        };
        Self::new(FailureCode::Connect, detail)
    }

    /// A TLS handshake failed.
    pub(crate) fn from_tls(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        let Some(error) = inner else {
            let detail = "the connection broke during the TLS handshake";
            return Self::new(FailureCode::TlsOther, detail);
        };
        match error {
            rustls::Error::InvalidCertificate(error) => Self::from_certificate(error),
            rustls::Error::AlertReceived(alert) => Self::new(
                FailureCode::TlsOther,
                format!("the receiver refused the TLS handshake: {alert:?}"),
            ),
            rustls::Error::InvalidMessage(_) => Self::new(
                FailureCode::TlsOther,
                "the receiver does not speak TLS on this port",
            ),
            rustls::Error::PeerIncompatible(_) => Self::new(
                FailureCode::TlsOther,
                "the receiver offers no TLS version or cipher that is accepted (TLS 1.2 or newer)",
            ),
            _ => Self::new(FailureCode::TlsOther, "the TLS handshake failed"),
        }
    }

    fn from_certificate(error: &rustls::CertificateError) -> Self {
        use rustls::CertificateError as E;
        let unknown_ca = (
            FailureCode::TlsUnknownCa,
            "the certificate is self-signed or from an unknown authority",
        );
        let (code, detail) = match error {
            E::Expired | E::ExpiredContext { .. } => {
                (FailureCode::TlsExpired, "the certificate has expired")
            }
            E::NotValidYet | E::NotValidYetContext { .. } => (
                FailureCode::TlsNotYetValid,
                "the certificate is not valid yet",
            ),
            E::NotValidForName | E::NotValidForNameContext { .. } => (
                FailureCode::TlsWrongHost,
                "the certificate is for another host",
            ),
            // A bad signature means an authority of a known name with another key.
            E::UnknownIssuer | E::BadSignature => unknown_ca,
            // What `openssl req -x509` makes: it may sign others, so it may not be a server's.
            E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => unknown_ca,
            E::Revoked => (FailureCode::TlsOther, "the certificate is revoked"),
            _ => (FailureCode::TlsOther, "the certificate is not acceptable"),
        };
        Self::new(code, detail)
    }

    /// The exchange of request and answer broke before the final status.
    pub(crate) fn from_exchange(error: &hyper::Error, meter: &Meter) -> Self {
        if meter.is_exceeded() {
            return Self::protocol("too many bytes before the final status");
        }
        if error.is_parse() {
            return Self::protocol("the answer is not HTTP/1.1, or its header is too large");
        }
        let cause = std::error::Error::source(error);
        // A request that hyper gave back because of what came in before it was sent.
        let is_out_of_turn =
            error.is_canceled() && cause.is_some_and(<dyn std::error::Error>::is::<hyper::Error>);
        let is_io = cause.is_some_and(<dyn std::error::Error>::is::<io::Error>);
        if !is_out_of_turn && (is_io || error.is_incomplete_message() || error.is_canceled()) {
            return Self::reset();
        }
        Self::protocol("the answer does not follow HTTP/1.1")
    }

    /// The connection broke before an answer.
    pub(crate) fn reset() -> Self {
        Self::new(
            FailureCode::Reset,
            "the connection was closed before an answer",
        )
    }
}

impl From<&TargetError> for Failure {
    fn from(error: &TargetError) -> Self {
        Self::new(FailureCode::TargetNotAllowed, error.to_string())
    }
}

/// Whether the error comes from a limit of this process or machine.
fn is_own_shortage(error: &io::Error) -> bool {
    // Linux: ENOMEM, ENFILE, EMFILE, EADDRNOTAVAIL (no local port left), ENETDOWN, ENOBUFS.
    matches!(error.raw_os_error(), Some(12 | 23 | 24 | 99 | 100 | 105))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_file_handles_is_our_own_fault() {
        for errno in [12, 23, 24, 99, 100, 105] {
            let failure = Failure::from_connect(&io::Error::from_raw_os_error(errno));
            assert!(failure.is_own_fault, "{errno}");
            assert_eq!(failure.code, FailureCode::OwnResources);
        }
    }

    #[test]
    fn a_refused_or_unreachable_receiver_is_not() {
        // ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, EACCES.
        for errno in [111, 113, 101, 110, 13] {
            let failure = Failure::from_connect(&io::Error::from_raw_os_error(errno));
            assert!(!failure.is_own_fault, "{errno}");
            assert_eq!(failure.outcome(), Outcome::Unreachable);
        }
    }

    #[test]
    fn a_handshake_that_is_cut_is_a_tls_error() {
        let failure = Failure::from_tls(&io::ErrorKind::UnexpectedEof.into());
        assert_eq!(failure.code, FailureCode::TlsOther);
        assert_eq!(failure.outcome(), Outcome::TlsError);
    }
}
