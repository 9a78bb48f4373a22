//! The address rule against a table of tricky addresses and against an oracle that is written
//! another way: as comparisons of octets instead of networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

/// Addresses that must be refused, several of which published guards are known to let through.
const FORBIDDEN: &[&str] = &[
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.0.0.53",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.23",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "172.16.0.0",
    "172.17.0.1",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.0.171",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "192.175.48.6",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "250.1.2.3",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "::7f00:1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:0",
    "64:ff9b::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:1::1",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2001:db8:ffff:ffff::1",
    "2002::1",
    "2002:7f00:1::1",
    "2620:4f:8000::1",
    "3fff::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "8000::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ffff::1",
    "1fff:ffff::1",
    "e000::1",
];

/// Public addresses, among them the neighbours of the denied ranges.
const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.31.195.255",
    "192.31.197.0",
    "192.52.192.255",
    "192.52.194.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "192.175.47.255",
    "192.175.49.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2600::1",
    "2606:4700:4700::1111",
    "2620:4f:7fff::1",
    "2620:4f:8001::1",
    "2a00:1450::1",
    "3ffe::1",
    "3fff:1000::1",
    "2000::1",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn allowing(nets: &[&str]) -> AddressRule {
    AddressRule::new(&EgressConfig {
        allow: nets.iter().map(|net| net.parse().unwrap()).collect(),
        ..EgressConfig::default()
    })
}

#[test]
fn refuses_every_forbidden_address() {
    let rule = AddressRule::default();
    let let_through: Vec<_> = FORBIDDEN
        .iter()
        .filter(|text| rule.check_ip(ip(text)).is_ok())
        .collect();
    assert_eq!(let_through, Vec::<&&str>::new());
}

#[test]
fn lets_public_addresses_through() {
    let rule = AddressRule::default();
    let refused: Vec<_> = PUBLIC
        .iter()
        .filter(|text| rule.check_ip(ip(text)).is_err())
        .collect();
    assert_eq!(refused, Vec::<&&str>::new());
}

#[test]
fn the_operator_can_allow_a_range_but_never_a_mapped_address() {
    let rule = allowing(&["127.0.0.0/8", "::1/128", "::ffff:0:0/96"]);
    assert_eq!(rule.check_ip(ip("127.0.0.1")), Ok(()));
    assert_eq!(rule.check_ip(ip("::1")), Ok(()));
    assert!(rule.check_ip(ip("10.0.0.1")).is_err());
    assert!(rule.check_ip(ip("::ffff:127.0.0.1")).is_err());
}

#[test]
fn own_listeners_are_refused_even_where_allowed() {
    let rule = AddressRule::new(&EgressConfig {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        own_listeners: vec![
            "127.0.0.1:8080".parse().unwrap(),
            "0.0.0.0:9090".parse().unwrap(),
        ],
        ..EgressConfig::default()
    });
    let check = |text: &str| rule.check(text.parse::<SocketAddr>().unwrap());
    assert!(check("127.0.0.1:8080").is_err());
    assert!(check("127.0.0.7:9090").is_err());
    assert_eq!(check("127.0.0.1:8081"), Ok(()));
    assert_eq!(check("127.0.0.2:8080"), Ok(()));
}

/// The same rule for IPv4, written from the octets.
fn oracle_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, d] = ip.octets();
    match a {
        0 | 10 | 127 | 224..=255 => false,
        100 => !(64..128).contains(&b),
        168 => !(b == 63 && c == 129 && d == 16),
        169 => b != 254,
        172 => b / 16 != 1,
        192 => match (b, c) {
            (168, _) | (0, 0 | 2) | (31, 196) | (52, 193) | (88, 99) | (175, 48) => false,
            (_, _) => true,
        },
        198 => !(b == 18 || b == 19 || (b == 51 && c == 100)),
        203 => !(b == 0 && c == 113),
        _ => true,
    }
}

/// The same rule for IPv6, written from the number.
fn oracle_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let top = u128::from(ip) >> 125;
    if top != 1 || segments[0] == 0x2002 {
        return false;
    }
    if segments[0] == 0x2001 && (segments[1] < 0x200 || segments[1] == 0xdb8) {
        return false;
    }
    if segments[0] == 0x3fff && segments[1] < 0x1000 {
        return false;
    }
    segments[..3] != [0x2620, 0x4f, 0x8000]
}

/// Addresses near the edges of ranges are far more telling than random ones.
fn near(edges: Vec<u128>, bits: u32) -> impl Strategy<Value = u128> {
    let mask = if bits == 128 {
        u128::MAX
    } else {
        (1 << bits) - 1
    };
    (
        proptest::sample::select(edges),
        0..bits,
        any::<bool>(),
        -2_i128..3,
    )
        .prop_map(move |(edge, bit, flip, step)| {
            let value = if flip { edge ^ (1 << bit) } else { edge };
            value.wrapping_add_signed(step) & mask
        })
}

fn edges() -> (Vec<u128>, Vec<u128>) {
    let (mut four, mut six) = (Vec::new(), Vec::new());
    for text in FORBIDDEN.iter().chain(PUBLIC) {
        match ip(text) {
            IpAddr::V4(ip) => four.push(u128::from(u32::from(ip))),
            IpAddr::V6(ip) => six.push(u128::from(ip)),
        }
    }
    (four, six)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn agrees_with_the_oracle_on_any_ipv4(bits in any::<u32>()) {
        let ip = Ipv4Addr::from(bits);
        prop_assert_eq!(AddressRule::default().check_ip(ip.into()).is_ok(), oracle_v4(ip), "{}", ip);
    }

    #[test]
    fn agrees_with_the_oracle_near_the_edges_of_ipv4(bits in near(edges().0, 32)) {
        let ip = Ipv4Addr::from(u32::try_from(bits).unwrap());
        prop_assert_eq!(AddressRule::default().check_ip(ip.into()).is_ok(), oracle_v4(ip), "{}", ip);
    }

    #[test]
    fn agrees_with_the_oracle_on_any_ipv6(bits in any::<u128>()) {
        let ip = Ipv6Addr::from(bits);
        prop_assert_eq!(AddressRule::default().check_ip(ip.into()).is_ok(), oracle_v6(ip), "{}", ip);
    }

    #[test]
    fn agrees_with_the_oracle_near_the_edges_of_ipv6(bits in near(edges().1, 128)) {
        let ip = Ipv6Addr::from(bits);
        prop_assert_eq!(AddressRule::default().check_ip(ip.into()).is_ok(), oracle_v6(ip), "{}", ip);
    }
}
