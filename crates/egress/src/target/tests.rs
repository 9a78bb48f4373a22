//! URLs that are taken, and a corpus of spellings that are not.

use proptest::prelude::*;

use super::*;

fn rules(change: impl FnOnce(&mut EgressConfig)) -> Rules {
    let mut config = EgressConfig {
        https_only: false,
        ..EgressConfig::default()
    };
    change(&mut config);
    Rules::new(&config)
}

fn open() -> Rules {
    rules(|_config| {})
}

/// As in the demo: loopback is allowed, so that only the spelling can be what is refused.
fn local() -> Rules {
    rules(|config| {
        config.allow = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    })
}

fn refused(url: &str) -> TargetError {
    match Target::parse(url, &open()) {
        Ok(target) => panic!("{url:?} was taken as {target:?}"),
        Err(error) => error,
    }
}

#[test]
fn takes_ordinary_urls_and_gives_their_canonical_form() {
    let cases = [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com/Hooks", "https://example.com/Hooks"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("http://example.com:80/a", "http://example.com/a"),
        (
            "https://example.com:8443/a?b=c&d=%20",
            "https://example.com:8443/a?b=c&d=%20",
        ),
        ("https://example.com/a/../b", "https://example.com/b"),
        ("https://a-b_c.example.com/", "https://a-b_c.example.com/"),
        ("https://1and1.com/", "https://1and1.com/"),
        (
            "https://münchen.example/ä?ö",
            "https://xn--mnchen-3ya.example/%C3%A4?%C3%B6",
        ),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        (
            "https://[2606:4700:4700::1111]:8443/",
            "https://[2606:4700:4700::1111]:8443/",
        ),
        (
            "https://example.com/{id}|x",
            "https://example.com/%7Bid%7D|x",
        ),
    ];
    for (url, canonical) in cases {
        let target = Target::parse(url, &open()).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(target.url(), canonical);
    }
}

#[test]
fn prepares_the_request_line_and_the_host_header() {
    let target = Target::parse("https://Example.com:8443/a%20b?c=d", &open()).unwrap();
    assert_eq!(target.path().to_string(), "/a%20b?c=d");
    assert_eq!(target.host_header(), "example.com:8443");
    assert_eq!(target.port(), 8443);
    let target = Target::parse("http://example.com?c", &open()).unwrap();
    assert_eq!(target.path().to_string(), "/?c");
    assert_eq!(target.host_header(), "example.com");
    assert_eq!(target.server_name(), None);
}

#[test]
fn names_the_operator_s_variable() {
    let strict = rules(|config| config.https_only = true);
    let text = |url: &str, rules: &Rules| Target::parse(url, rules).unwrap_err().to_string();
    assert!(text("http://example.com/", &strict).contains("SIGNPOST_EGRESS_HTTPS_ONLY"));
    assert!(text("https://example.com:22/", &strict).contains("SIGNPOST_EGRESS_PORTS"));
    assert!(text("https://10.0.0.1/", &strict).contains("SIGNPOST_EGRESS_ALLOW"));
    assert!(text("https://localhost/", &strict).contains("SIGNPOST_EGRESS_ALLOW"));
}

#[test]
fn follows_the_rule_for_ports() {
    let only = rules(|config| config.ports = PortRule::Only(vec![8443, 5432]));
    let takes = |url: &str, rules: &Rules| Target::parse(url, rules).is_ok();
    assert!(takes("https://example.com/", &only));
    assert!(takes("https://example.com:8443/", &only));
    assert!(
        takes("https://example.com:5432/", &only),
        "listed explicitly"
    );
    assert!(!takes("http://example.com/", &only), "80 is not listed");
    assert!(!takes("http://example.com:443/", &only));
    assert!(!takes("https://example.com:9443/", &only));
    for port in [
        0, 22, 25, 53, 5432, 5672, 6379, 6667, 9200, 10080, 11211, 15672,
    ] {
        assert_eq!(
            refused(&format!("https://example.com:{port}/")),
            TargetError::Port(port)
        );
    }
}

#[test]
fn localhost_needs_the_operator_s_permission() {
    assert_eq!(
        refused("http://localhost:3000/"),
        TargetError::Address("localhost".to_owned())
    );
    let target = Target::parse("http://LOCALHOST:3000/", &local()).unwrap();
    assert_eq!(*target.place(), Place::Localhost);
    let four = rules(|config| config.allow = vec!["127.0.0.0/8".parse().unwrap()]);
    let addresses = localhost_addresses(&four.addresses, 3000);
    assert_eq!(addresses, ["127.0.0.1:3000".parse().unwrap()]);
}

#[test]
fn own_listeners_are_refused() {
    let rules = rules(|config| {
        config.allow = vec!["127.0.0.0/8".parse().unwrap()];
        config.own_listeners = vec!["127.0.0.1:8080".parse().unwrap()];
    });
    assert!(Target::parse("http://127.0.0.1:8080/v1", &rules).is_err());
    assert!(Target::parse("http://localhost:8080/v1", &rules).is_err());
    assert!(Target::parse("http://127.0.0.1:8081/", &rules).is_ok());
}

/// What no tenant may register, whatever it means to some program.
const CORPUS: &[&str] = &[
    // Not a URL, or not one for a POST.
    "",
    "example.com",
    "/hooks",
    "//example.com/",
    "https:",
    "https:/",
    "https://",
    "https:///",
    "https:///example.com/",
    "https:/example.com/",
    "https:example.com",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "javascript:alert(1)",
    "data:,x",
    "ws://example.com/",
    "unix:///run/x.sock",
    "https://:443/",
    "https://?x",
    "https://#x",
    "https://example.com:99999/",
    "https://example.com:x/",
    "https://example.com:-1/",
    // Characters that parsers disagree about.
    " https://example.com/",
    "https://example.com/ ",
    "https://exa mple.com/",
    "https://example.com/a b",
    "ht\ntps://example.com/",
    "https://exam\tple.com/",
    "https://example.com/\r\nX: y",
    "https://example.com\\@evil.example/",
    "https:\\\\example.com\\",
    "https://example.com/\\x",
    "https://example.com\0.evil.example/",
    "https://example.com/\u{7f}",
    "https://example.com/\u{85}",
    "https://example\u{3000}.com/",
    "https://example.com/\u{2028}",
    "\u{feff}https://example.com/",
    // User names, which hide the host.
    "https://user@example.com/",
    "https://user:pass@example.com/",
    "https://@example.com/",
    "https://:@example.com/",
    "https://example.com@169.254.169.254/",
    "https://example.com:443@127.0.0.1/",
    "https://example.com%40evil.example/",
    // Fragments.
    "https://example.com/#",
    "https://example.com/#x",
    "https://example.com#@127.0.0.1/",
    "https://example.com/?a#b",
    // Names that are not public.
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://foo.localhost/",
    "https://intranet/",
    "https://com/",
    "https://printer.local/",
    "https://printer.LOCAL/",
    "https://metadata.google.internal/",
    "https://db.internal/",
    "https://nas.home.arpa/",
    "https://abcdefghijklmnop.onion/",
    "https://example.com./",
    "https://example.com../",
    "https://example..com/",
    "https://.example.com/",
    "https://./",
    "https://../",
    "https://-/",
    "https://example.c!m/",
    "https://example.com,evil.example/",
    "https://a'b.example.com/",
    "https://*.example.com/",
    "https://${x}.example.com/",
    "https://a~b.example.com/",
    "https://example.123/",
    "https://1.2.3.4.5/",
    "https://256.256.256.256/",
    "https://1.2.3.256/",
    // Spellings of addresses that are not their plain form.
    "http://0x7f.1/",
    "http://0x7f000001/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0177.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://127.000.000.001/",
    "http://127.0.0.01/",
    "http://0/",
    "http://0x0/",
    "http://00000000/",
    "http://0.0/",
    "http://4294967295/",
    "http://0x100000000/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.16689662/",
    "http://169.254.43518/",
    "http://0xA9.0xFE.0xA9.0xFE/",
    "http://%31%32%37.0.0.1/",
    "http://%31%32%37%2e%30%2e%30%2e%31/",
    "http://127%2e0%2e0%2e1/",
    "http://%6c%6f%63%61%6c%68%6f%73%74/",
    "http://ex%61mple.com/",
    "http://example%2ecom/",
    "http://127.0.0.1%00.example.com/",
    "http://example.com%00/",
    "http://%00/",
    "http://%/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://127．0．0．1/",
    "http://127｡0｡0｡1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://⑯⑨。②⑤④。⑯⑨｡②⑤④/",
    "http://𝟏𝟐𝟕.𝟎.𝟎.𝟏/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://loc\u{ad}alhost/",
    "http://localhos\u{17f}.local/",
    "http://٣٤.٣.٢.١/",
    "http://0x7f．1/",
    // IPv6: mapped, translated, scoped, unusual.
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000::0001]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::FFFF:7F00:0001]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[fec0::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[4000::1]/",
    "http://[::1",
    "http://::1/",
    "http://[::1]x/",
    "http://[127.0.0.1]/",
    "http://[::1]:80:80/",
    "http://[v1.x]/",
    "http://[]/",
    "http://[2606:4700:4700:0::1111]/",
    "http://[2606:4700:4700::1111%251]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[::8.8.8.8]/",
    // Plain spellings of forbidden addresses.
    "http://127.0.0.1/",
    "http://127.1.2.3/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://0.0.0.0/",
    "http://255.255.255.255/",
    "http://224.0.0.1/",
    "http://198.18.0.1/",
    "http://100.64.0.1/",
    "http://240.0.0.1/",
];

#[test]
fn refuses_the_whole_corpus() {
    let taken: Vec<_> = CORPUS
        .iter()
        .filter(|url| Target::parse(url, &open()).is_ok())
        .collect();
    assert_eq!(taken, Vec::<&&str>::new());
}

#[test]
fn with_loopback_allowed_only_the_plain_spellings_are_taken() {
    let taken: Vec<_> = CORPUS
        .iter()
        .filter(|url| Target::parse(url, &local()).is_ok())
        .copied()
        .collect();
    let plain = [
        "https://localhost/",
        "https://LOCALHOST/",
        "http://[::1]/",
        "http://127.0.0.1/",
        "http://127.1.2.3/",
    ];
    assert_eq!(taken, plain);
}

#[test]
fn every_spelling_of_loopback_is_refused_by_name_or_by_address() {
    // Each number written in four ways, in one to four parts: none may be taken, and none may
    // end up as a name that is looked up.
    let write = |number: u64, way: usize| match way {
        0 => format!("{number}"),
        1 => format!("0x{number:x}"),
        2 => format!("0X{number:08X}"),
        _ => format!("0{number:o}"),
    };
    let splits: [&[u64]; 4] = [&[0x7f00_0001], &[127, 1], &[127, 0, 1], &[127, 0, 0, 1]];
    let mut tried = 0;
    for parts in splits {
        for ways in 0..4_usize.pow(u32::try_from(parts.len()).unwrap()) {
            let part = |(index, number): (usize, &u64)| {
                write(
                    *number,
                    ways / 4_usize.pow(u32::try_from(index).unwrap()) % 4,
                )
            };
            let host = parts
                .iter()
                .enumerate()
                .map(part)
                .collect::<Vec<_>>()
                .join(".");
            refused(&format!("http://{host}/"));
            refused(&format!("http://{host}:8080/x"));
            tried += 2;
        }
    }
    assert_eq!(tried, 680);
}

#[test]
fn refuses_urls_that_are_too_long() {
    let long = |n| format!("https://example.com/{}", "a".repeat(n));
    assert!(Target::parse(&long(2048 - 20), &open()).is_ok());
    assert_eq!(refused(&long(2048 - 19)), TargetError::TooLong);
    // Short as written, long once it is encoded.
    assert_eq!(
        refused(&format!("https://example.com/{}", "ä".repeat(900))),
        TargetError::TooLong
    );
    refused(&format!("https://{}.com/", "a".repeat(64)));
    refused(&format!("https://{}com/", "abcdefgh.".repeat(28)));
}

#[test]
fn does_not_show_the_query_when_debugged() {
    let target = Target::parse("https://example.com/a?token=secret", &open()).unwrap();
    assert_eq!(format!("{target:?}"), "Target(\"https://example.com/a\")");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn never_panics_and_is_stable(text in "(https?://)?[ -~]{0,40}") {
        if let Ok(target) = Target::parse(&text, &open()) {
            let again = Target::parse(target.url(), &open()).unwrap();
            prop_assert_eq!(&again, &target);
        }
    }

    #[test]
    fn no_name_can_be_read_as_an_address(host in "[0-9a-fxX.:%\\[\\]]{1,20}") {
        if let Ok(target) = Target::parse(&format!("http://{host}/"), &open()) {
            match target.place() {
                Place::Name(name) => {
                    prop_assert!(target.host().parse::<IpAddr>().is_err());
                    prop_assert!(target.host().rsplit('.').next().unwrap().parse::<u64>().is_err());
                    prop_assert!(name.is_fqdn());
                }
                Place::Address(ip) => prop_assert!(open().addresses.check_ip(*ip).is_ok()),
                Place::Localhost => prop_assert!(false),
            }
        }
    }
}
