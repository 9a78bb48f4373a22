//! Headers as the record shows them: a JSON object, written once and kept as text.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderName, HeaderValue};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// What stands in place of a cookie or a credential.
pub(crate) const REDACTED: &str = "[redacted]";

/// The headers of a request or an answer as a JSON object, in their order. A name that comes
/// several times has its values joined by commas (RFC 9110, section 5.3); bytes that are not UTF-8
/// are replaced; cookies and credentials are blotted out.
pub fn shown_headers(headers: &[(HeaderName, HeaderValue)]) -> Box<RawValue> {
    // Writing texts into memory does not fail.
    to_raw_value(&Shown(headers)).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Whether a header's value is nobody's business.
pub(crate) fn is_secret(name: &HeaderName) -> bool {
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE].contains(name)
}

struct Shown<'h>(&'h [(HeaderName, HeaderValue)]);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let (before, after) = (&self.0[..index], &self.0[index + 1..]);
            if before.iter().any(|(other, _)| other == name) {
                continue;
            }
            let mut joined = text(name, value);
            for (_, value) in after.iter().filter(|(other, _)| other == name) {
                let joined = joined.to_mut();
                joined.push_str(", ");
                joined.push_str(&text(name, value));
            }
            object.serialize_entry(name.as_str(), &joined)?;
        }
        object.end()
    }
}

fn text<'h>(name: &HeaderName, value: &'h HeaderValue) -> Cow<'h, str> {
    if is_secret(name) {
        REDACTED.into()
    } else {
        String::from_utf8_lossy(value.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(headers: &[(&'static str, &'static [u8])]) -> String {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_bytes(value).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect();
        shown_headers(&headers).get().to_owned()
    }

    #[test]
    fn shows_names_and_values_in_their_order() {
        assert_eq!(shown(&[]), "{}");
        assert_eq!(
            shown(&[("b", b"1"), ("a", b"say \"x\"\\")]),
            r#"{"b":"1","a":"say \"x\"\\"}"#
        );
    }

    #[test]
    fn joins_what_comes_several_times() {
        assert_eq!(
            shown(&[("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"4")]),
            r#"{"a":"1, 3, 4","b":"2"}"#
        );
    }

    #[test]
    fn replaces_bytes_that_are_no_text() {
        assert_eq!(
            shown(&[("a", b"caf\xe9 \xf0\x9f\x98\x80")]),
            "{\"a\":\"caf\u{fffd} \u{1f600}\"}"
        );
    }

    #[test]
    fn blots_out_cookies_and_credentials() {
        for name in [
            "authorization",
            "cookie",
            "proxy-authorization",
            "set-cookie",
        ] {
            assert_eq!(
                shown(&[(name, b"secret")]),
                format!(r#"{{"{name}":"[redacted]"}}"#)
            );
        }
    }
}
