//! Which headers a tenant may add to its requests.

use crate::Problem;

/// Most custom headers of one endpoint.
pub const MAX_HEADERS: usize = 20;
/// Most bytes of all custom headers of one endpoint, names and values together.
pub const MAX_HEADER_BYTES: usize = 8 * 1024;

/// Names that would change the framing, the routing or the signature of a request.
const DENIED: &[&str] = &[
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "forwarded",
    "via",
    "cookie2",
    "date",
    "user-agent",
    "accept-encoding",
];
const DENIED_PREFIXES: &[&str] = &[
    "proxy-",
    "x-forwarded-",
    "webhook-",
    "signpost-",
    "x-signpost-",
];

/// Checks the custom headers of an endpoint (RFC 9110, section 5), and that none of them takes
/// the place of one of `reserved`, the headers its profile sets.
///
/// # Errors
/// Every problem, with pointers below `/headers`.
pub fn check_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    reserved: &[String],
) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for (name, value) in headers {
        count += 1;
        bytes += name.len() + value.len();
        if let Err(detail) = check_header(name, value, reserved) {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            problems.push(Problem::new(format!("/headers/{escaped}"), detail));
        }
    }
    if count > MAX_HEADERS {
        problems.push(Problem::new(
            "/headers",
            format!("at most {MAX_HEADERS} headers"),
        ));
    }
    if bytes > MAX_HEADER_BYTES {
        problems.push(Problem::new(
            "/headers",
            format!("at most {MAX_HEADER_BYTES} bytes in all"),
        ));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn check_header(name: &str, value: &str, reserved: &[String]) -> Result<(), String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("a header name is made of letters, digits and `-`, without `_`".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    if DENIED.contains(&lower.as_str()) || DENIED_PREFIXES.iter().any(|p| lower.starts_with(p)) {
        return Err("this header is set by Signpost or by HTTP itself".to_owned());
    }
    if reserved.iter().any(|r| r.eq_ignore_ascii_case(name)) {
        return Err("this header is set by the endpoint's profile".to_owned());
    }
    let is_visible = |b: u8| b == b'\t' || (b' '..=b'~').contains(&b);
    if !value.bytes().all(is_visible) || value.trim() != value {
        return Err("a header value is printable ASCII without spaces at its ends".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_headers() {
        assert_eq!(
            check_headers([("X-Team", "a"), ("Authorization", "Bearer x")], &[]),
            Ok(())
        );
    }

    #[test]
    fn refuses_what_would_change_the_request() {
        let reserved = ["X-Signature".to_owned()];
        let bad = [
            ("Host", "a"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
            ("X-Forwarded-For", "1"),
            ("webhook-id", "x"),
            ("x-signature", "x"),
            ("a_b", "x"),
            ("a b", "x"),
            ("", "x"),
            ("a:", "x"),
            ("X-A", "a\r\nB: c"),
            ("X-A", "a\0"),
            ("X-A", " a"),
            ("X-A", "ä"),
        ];
        for (name, value) in bad {
            assert!(
                check_headers([(name, value)], &reserved).is_err(),
                "{name:?}: {value:?}"
            );
        }
        let many: Vec<_> = (0..21)
            .map(|n| (format!("X-{n}"), "a".to_owned()))
            .collect();
        assert!(check_headers(many.iter().map(|(n, v)| (n.as_str(), v.as_str())), &[]).is_err());
        let long = "a".repeat(8 * 1024);
        assert!(check_headers([("X-A", long.as_str())], &[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_header_that_is_taken_can_be_written_as_one_line(name in ".{0,20}", value in ".{0,40}") {
            if check_headers([(name.as_str(), value.as_str())], &[]).is_ok() {
                let line = format!("{name}: {value}");
                proptest::prop_assert!(line.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)));
                proptest::prop_assert!(!name.contains([':', ' ']));
            }
        }
    }
}
