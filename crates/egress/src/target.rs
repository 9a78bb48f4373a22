//! Reads a tenant's URL by strict rules, and prepares what every request to it needs.
//!
//! Pure. Called when an endpoint is registered and when it is loaded for its attempts: one
//! function for both, so the check and the use cannot disagree. There is one parser (the `url`
//! crate, the WHATWG URL standard); what it would repair is refused, because another program might
//! repair it differently.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::proto::rr::Name;
use http::{HeaderValue, Uri, uri::PathAndQuery};
use rustls::pki_types::ServerName;
use url::{Host, Url};

use crate::pool::Key;
use crate::{AddressRule, EgressConfig, PortRule};

mod ports;

/// Longest URL, in bytes.
const MAX_LENGTH: usize = 2048;

/// Names that mean this machine or this network (RFC 6761, 6762, 7686, 8375, and ICANN's
/// reservation of `.internal`).
const LOCAL_SUFFIXES: &[&str] = &[".localhost", ".local", ".internal", ".home.arpa", ".onion"];

/// The rules a URL is read by.
#[derive(Debug, Clone)]
pub struct Rules {
    addresses: AddressRule,
    https_only: bool,
    ports: PortRule,
}

impl Rules {
    /// The rules of a configuration.
    pub fn new(config: &EgressConfig) -> Self {
        Self {
            addresses: AddressRule::new(config),
            https_only: config.https_only,
            ports: config.ports.clone(),
        }
    }
}

/// Why a URL is refused, in words for the tenant. The operator's variable is named where it would
/// make a difference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Longer than 2048 bytes.
    #[error("the URL is longer than 2048 bytes")]
    TooLong,
    /// Contains a character that is not allowed anywhere in it.
    #[error("the URL contains a space, a control character or a backslash")]
    Character,
    /// Not an absolute URL with a host.
    #[error("this is not a URL of the form https://host/path")]
    NotAUrl,
    /// Neither `https` nor `http`.
    #[error("the URL must begin with https://")]
    Scheme,
    /// `http` where only `https` is allowed.
    #[error(
        "http is not allowed, use https (the operator can allow it with \
         SIGNPOST_EGRESS_HTTPS_ONLY=false)"
    )]
    HttpsOnly,
    /// Contains a user name or a password.
    #[error("the URL must not contain a user name or password")]
    UserInfo,
    /// Contains a fragment.
    #[error("the URL must not contain a fragment (#…)")]
    Fragment,
    /// The host is not a name that can be looked up in the public DNS.
    #[error("the host must be a full public name, like hooks.example.com")]
    HostName,
    /// The host is written in an unusual way.
    #[error("write the host as {0}")]
    HostSpelling(String),
    /// The port is not allowed.
    #[error("port {0} is not allowed (the operator can allow ports with SIGNPOST_EGRESS_PORTS)")]
    Port(u16),
    /// The address must not be reached.
    #[error(
        "{0} must not be reached: it is not a public address (the operator can allow ranges with \
         SIGNPOST_EGRESS_ALLOW)"
    )]
    Address(String),
}

/// A checked URL, ready for requests. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Arc<Parts>);

/// Small: the dispatchers keep one for each endpoint.
#[derive(PartialEq, Eq)]
struct Parts {
    url: Box<str>,
    host: Arc<str>,
    port: u16,
    place: Place,
    /// Set for `https`.
    server_name: Option<ServerName<'static>>,
    host_header: HeaderValue,
    path: PathAndQuery,
}

/// Where the addresses come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The address stands in the URL.
    Address(IpAddr),
    /// `localhost`, which no name server is asked about.
    Localhost,
    /// A full name, with its final dot.
    Name(Box<Name>),
}

impl Target {
    /// Reads and checks a URL.
    ///
    /// # Errors
    /// The first rule it breaks, for the tenant.
    pub fn parse(text: &str, rules: &Rules) -> Result<Self, TargetError> {
        if text.len() > MAX_LENGTH {
            return Err(TargetError::TooLong);
        }
        if text
            .chars()
            .any(|c| c <= ' ' || c == '\\' || c.is_control() || c.is_whitespace())
        {
            return Err(TargetError::Character);
        }
        let url = Url::parse(text).map_err(|_unreadable| TargetError::NotAUrl)?;
        let is_https = check_scheme(&url, rules)?;
        let written_host = written_host(text, &url)?;
        if url.fragment().is_some() {
            return Err(TargetError::Fragment);
        }
        let (Some(host), Some(host_text)) = (url.host(), url.host_str()) else {
            return Err(TargetError::NotAUrl);
        };
        // The parser lowers letters and encodes foreign scripts. Everything else that it changed
        // (0x7f.1, 2130706433, %31, full-width digits, [0:0::1]) hides what is meant.
        let is_foreign_name = !written_host.is_ascii() && host_text.contains("xn--");
        if !is_foreign_name && !written_host.eq_ignore_ascii_case(host_text) {
            return Err(TargetError::HostSpelling(host_text.to_owned()));
        }
        let port = url.port_or_known_default().ok_or(TargetError::NotAUrl)?;
        check_port(port, is_https, rules)?;
        let place = check_host(&host, port, rules)?;
        if url.as_str().len() > MAX_LENGTH {
            return Err(TargetError::TooLong);
        }
        let server_name = is_https.then(|| server_name(&host)).transpose()?;
        Ok(Self(Arc::new(Parts {
            host: Arc::from(host_text),
            port,
            place,
            server_name,
            host_header: host_header(&url)?,
            path: path(&url)?,
            url: String::from(url).into_boxed_str(),
        })))
    }

    /// The URL in its canonical spelling.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The host: a name in ASCII or an address, IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    pub(crate) fn shared_host(&self) -> &Arc<str> {
        &self.0.host
    }

    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        self.0.server_name.clone()
    }

    pub(crate) fn host_header(&self) -> HeaderValue {
        self.0.host_header.clone()
    }

    pub(crate) fn path(&self) -> Uri {
        Uri::from(self.0.path.clone())
    }

    pub(crate) fn pool_key(&self, address: SocketAddr) -> Key {
        Key {
            is_https: self.0.server_name.is_some(),
            host: Arc::clone(&self.0.host),
            address,
        }
    }
}

/// Shows where it leads, without the query: that may hold a secret.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url();
        let shown = url.split_once('?').map_or(url, |(before, _query)| before);
        f.debug_tuple("Target").field(&shown).finish()
    }
}

fn check_scheme(url: &Url, rules: &Rules) -> Result<bool, TargetError> {
    match url.scheme() {
        "https" => Ok(true),
        "http" if rules.https_only => Err(TargetError::HttpsOnly),
        "http" => Ok(false),
        _ => Err(TargetError::Scheme),
    }
}

/// The host as the tenant wrote it, without the port.
fn written_host<'a>(text: &'a str, url: &Url) -> Result<&'a str, TargetError> {
    let (scheme, rest) = text.split_once("://").ok_or(TargetError::NotAUrl)?;
    if !scheme.eq_ignore_ascii_case(url.scheme()) {
        return Err(TargetError::NotAUrl);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    if authority.contains('@') {
        return Err(TargetError::UserInfo);
    }
    // A colon inside brackets belongs to an IPv6 address.
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        Some(_) | None => authority,
    };
    if host.is_empty() {
        return Err(TargetError::NotAUrl);
    }
    Ok(host)
}

fn check_port(port: u16, is_https: bool, rules: &Rules) -> Result<(), TargetError> {
    let is_allowed = match &rules.ports {
        PortRule::Open => !ports::is_blocked(port),
        PortRule::Only(list) => (is_https && port == 443) || (port != 0 && list.contains(&port)),
    };
    if is_allowed {
        Ok(())
    } else {
        Err(TargetError::Port(port))
    }
}

fn check_host(host: &Host<&str>, port: u16, rules: &Rules) -> Result<Place, TargetError> {
    match *host {
        Host::Ipv4(ip) => check_address(ip.into(), port, rules),
        Host::Ipv6(ip) => check_address(ip.into(), port, rules),
        Host::Domain("localhost") => {
            if localhost_addresses(&rules.addresses, port).is_empty() {
                return Err(TargetError::Address("localhost".to_owned()));
            }
            Ok(Place::Localhost)
        }
        Host::Domain(name) => check_name(name),
    }
}

fn check_address(ip: IpAddr, port: u16, rules: &Rules) -> Result<Place, TargetError> {
    match rules.addresses.check(SocketAddr::new(ip, port)) {
        Ok(()) => Ok(Place::Address(ip)),
        Err(_denied) => Err(TargetError::Address(ip.to_string())),
    }
}

fn check_name(name: &str) -> Result<Place, TargetError> {
    let is_label = |label: &str| {
        let is_plain =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_plain)
    };
    // An empty last label is a final dot; one of digits alone could be taken for an address.
    let (_, last) = name.rsplit_once('.').ok_or(TargetError::HostName)?;
    let is_local = LOCAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    if is_local || !name.split('.').all(is_label) || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TargetError::HostName);
    }
    let full = Name::from_ascii(format!("{name}.")).map_err(|_too_long| TargetError::HostName)?;
    Ok(Place::Name(Box::new(full)))
}

/// The addresses of `localhost` that may be reached.
pub(crate) fn localhost_addresses(rule: &AddressRule, port: u16) -> Vec<SocketAddr> {
    [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ]
    .into_iter()
    .map(|ip| SocketAddr::new(ip, port))
    .filter(|address| rule.check(*address).is_ok())
    .collect()
}

fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, TargetError> {
    match *host {
        Host::Ipv4(ip) => Ok(ServerName::from(IpAddr::from(ip))),
        Host::Ipv6(ip) => Ok(ServerName::from(IpAddr::from(ip))),
        Host::Domain(name) => {
            ServerName::try_from(name.to_owned()).map_err(|_invalid| TargetError::HostName)
        }
    }
}

/// `host` or `host:port`; the default port is left out (RFC 9110, section 7.2).
fn host_header(url: &Url) -> Result<HeaderValue, TargetError> {
    let host = url.host_str().unwrap_or_default();
    let text = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::from_str(&text).map_err(|_invalid| TargetError::HostName)
}

/// Path and query, as they stand in the request line. The HTTP library must read the same host
/// from the URL.
fn path(url: &Url) -> Result<PathAndQuery, TargetError> {
    let whole: Uri = url
        .as_str()
        .parse()
        .map_err(|_invalid| TargetError::NotAUrl)?;
    if whole.host() != url.host_str() {
        return Err(TargetError::HostSpelling(
            url.host_str().unwrap_or_default().to_owned(),
        ));
    }
    let parts = whole.into_parts();
    parts.path_and_query.ok_or(TargetError::NotAUrl)
}

#[cfg(test)]
mod tests;
