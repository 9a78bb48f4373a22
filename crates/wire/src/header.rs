//! Which header names a profile may set, and which characters a header value may hold
//! (RFC 9110, section 5).
//!
//! Used when a profile is checked and again when a value has been rendered, so that nothing an
//! event holds can ever add a header line.

/// Most headers of one profile, the signature not counted.
pub(crate) const MAX_HEADERS: usize = 20;
/// Longest header name, in bytes.
const MAX_NAME: usize = 128;
/// Longest header template, in bytes.
pub(crate) const MAX_VALUE: usize = 1024;

/// Names that HTTP or the sending side sets itself: they change framing, routing or encoding.
const DENIED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "cookie2",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];
const DENIED_PREFIXES: &[&str] = &["proxy-", "x-forwarded-"];

/// Checks a header name; the error says what would be right.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^`|~".contains(&b);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_token) {
        return Err(format!(
            "a header name is 1 to {MAX_NAME} letters, digits and `-`, as in `X-Webhook-Event` \
             (no `_`: many servers drop such headers)"
        ));
    }
    let lower = name.to_ascii_lowercase();
    if lower == "content-type" {
        return Err("give the content type in the part `content_type`".to_owned());
    }
    if DENIED.contains(&lower.as_str()) || DENIED_PREFIXES.iter().any(|p| lower.starts_with(p)) {
        return Err("this header is set by HTTP or by the sender; leave it out".to_owned());
    }
    Ok(())
}

/// Whether the text can stand as a header value: printable ASCII, no space at either end.
pub(crate) fn is_value(value: &str) -> bool {
    value.bytes().all(|b| (b' '..=b'~').contains(&b)) && value.trim() == value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_names_that_webhooks_use() {
        for name in [
            "webhook-id",
            "X-Hub-Signature-256",
            "User-Agent",
            "Stripe-Signature",
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn refuses_names_that_change_the_request() {
        for name in [
            "",
            "a b",
            "a:b",
            "a_b",
            "ä",
            "a\r\n",
            "Host",
            "content-length",
            "Content-Type",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "X-Forwarded-For",
            "TE",
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name(&"a".repeat(129)).is_err());
    }

    #[test]
    fn a_value_holds_no_line_break() {
        assert!(is_value("a b") && is_value(""));
        for bad in ["a\r\nb: c", "a\n", "a\0", " a", "a ", "ä", "a\tb"] {
            assert!(!is_value(bad), "{bad:?}");
        }
    }
}
