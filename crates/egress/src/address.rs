//! Which addresses may be reached: only the public internet, unless the operator allows a range.
//!
//! Pure. Used on literal addresses in URLs and on every answer of the resolver, at registration
//! and at each attempt. An IPv4-mapped IPv6 address is refused and never unwrapped: a range that
//! names IPv4 addresses does not match their mapped twins, and the kernel would connect to them.
//!
//! Sources: the IANA registries of special-purpose IPv4 and IPv6 addresses (RFC 6890), and the
//! metadata addresses that cloud providers document.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::EgressConfig;

/// A denied range, and what it is for.
struct Range<N> {
    net: N,
    what: &'static str,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8, what: &'static str) -> Range<Ipv4Net> {
    Range {
        net: Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix),
        what,
    }
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8, what: &'static str) -> Range<Ipv6Net> {
    Range {
        net: Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix),
        what,
    }
}

const DENIED_V4: &[Range<Ipv4Net>] = &[
    // On Linux 0.0.0.0 connects to loopback.
    v4(0, 0, 0, 0, 8, "this network"),
    v4(10, 0, 0, 0, 8, "private"),
    // Alibaba's metadata service (100.100.100.200) lives here too.
    v4(100, 64, 0, 0, 10, "shared address space of carriers"),
    v4(127, 0, 0, 0, 8, "loopback"),
    v4(168, 63, 129, 16, 32, "Azure's platform address"),
    // The metadata services of most clouds.
    v4(169, 254, 0, 0, 16, "link-local"),
    v4(172, 16, 0, 0, 12, "private"),
    // 192.0.0.192 is Oracle's metadata service.
    v4(192, 0, 0, 0, 24, "IETF protocol assignments"),
    v4(192, 0, 2, 0, 24, "documentation"),
    v4(192, 31, 196, 0, 24, "AS112"),
    v4(192, 52, 193, 0, 24, "AMT"),
    v4(192, 88, 99, 0, 24, "6to4 relay"),
    v4(192, 168, 0, 0, 16, "private"),
    v4(192, 175, 48, 0, 24, "AS112"),
    v4(198, 18, 0, 0, 15, "benchmarking"),
    v4(198, 51, 100, 0, 24, "documentation"),
    v4(203, 0, 113, 0, 24, "documentation"),
    v4(224, 0, 0, 0, 4, "multicast"),
    v4(240, 0, 0, 0, 4, "reserved"),
];

/// All that is handed out as public IPv6. What lies outside (loopback, unique local, link-local,
/// multicast, translation prefixes, IPv4-compatible and -mapped, unallocated) is denied as a whole.
const PUBLIC_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const MAPPED_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

const DENIED_V6: &[Range<Ipv6Net>] = &[
    // Teredo, benchmarking, AMT, AS112, ORCHID, DET.
    v6(0x2001, 0, 0, 23, "IETF protocol assignments"),
    v6(0x2001, 0xdb8, 0, 32, "documentation"),
    v6(0x2002, 0, 0, 16, "6to4"),
    v6(0x2620, 0x4f, 0x8000, 48, "AS112"),
    v6(0x3fff, 0, 0, 20, "documentation"),
];

/// Why an address must not be reached; for operators, never for tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    /// What the address belongs to.
    pub what: &'static str,
}

/// Judges addresses.
#[derive(Debug, Clone, Default)]
pub struct AddressRule {
    allow: Vec<IpNet>,
    own_listeners: Vec<SocketAddr>,
}

impl AddressRule {
    /// The default rule with the operator's exceptions.
    pub fn new(config: &EgressConfig) -> Self {
        Self {
            allow: config.allow.clone(),
            own_listeners: config.own_listeners.clone(),
        }
    }

    /// Whether a connection to this address and port is allowed.
    ///
    /// # Errors
    /// What the address belongs to, when it must not be reached.
    pub fn check(&self, address: SocketAddr) -> Result<(), Denied> {
        if self.own_listeners.iter().any(|own| is_same(*own, address)) {
            return Err(Denied {
                what: "Signpost's own listener",
            });
        }
        self.check_ip(address.ip())
    }

    /// Whether a connection to this address is allowed, whatever the port.
    ///
    /// # Errors
    /// As for [`AddressRule::check`].
    pub fn check_ip(&self, ip: IpAddr) -> Result<(), Denied> {
        let what = match ip {
            IpAddr::V4(ip) => denied_v4(ip),
            IpAddr::V6(ip) if MAPPED_V6.contains(&ip) => {
                return Err(Denied {
                    what: "IPv4-mapped",
                });
            }
            IpAddr::V6(ip) => denied_v6(ip),
        };
        match what {
            Some(what) if !self.allow.iter().any(|net| net.contains(&ip)) => Err(Denied { what }),
            Some(_) | None => Ok(()),
        }
    }
}

fn is_same(own: SocketAddr, address: SocketAddr) -> bool {
    own.port() == address.port()
        && (own.ip() == address.ip()
            || (own.ip().is_unspecified()
                && (address.ip().is_loopback() || address.ip().is_unspecified())))
}

fn denied_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let range = DENIED_V4.iter().find(|range| range.net.contains(&ip))?;
    Some(range.what)
}

fn denied_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if !PUBLIC_V6.contains(&ip) {
        return Some("not public IPv6");
    }
    let range = DENIED_V6.iter().find(|range| range.net.contains(&ip))?;
    Some(range.what)
}

#[cfg(test)]
mod tests;
