//! Reading `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date in one of HTTP's three
//! forms (section 5.6.7). Pure; what it means for the next attempt is decided elsewhere.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

/// The longest wait that is reported.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long to wait from `now`, at most 24 hours; a date that has passed is no wait at all.
/// What is neither a whole number nor a date is ignored.
pub(crate) fn parse(value: &[u8], now: DateTime<Utc>) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a very long wait.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let wait = parse_date(text)?.signed_duration_since(now);
    Some(wait.to_std().unwrap_or(Duration::ZERO).min(LONGEST))
}

fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    let forms = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    let date = |form| NaiveDateTime::parse_from_str(text, form).ok();
    forms.into_iter().find_map(date).map(|date| date.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str) -> Option<u64> {
        let now = DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").unwrap();
        parse(value.as_bytes(), now.to_utc()).map(|wait| wait.as_secs())
    }

    #[test]
    fn reads_seconds() {
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait(" 7 "), Some(7));
    }

    #[test]
    fn reads_the_three_forms_of_a_date() {
        assert_eq!(wait("Sun, 01 Mar 2026 12:01:40 GMT"), Some(100));
        assert_eq!(wait("Sunday, 01-Mar-26 12:01:40 GMT"), Some(100));
        assert_eq!(wait("Sun Mar  1 12:01:40 2026"), Some(100));
    }

    #[test]
    fn is_never_negative_and_never_longer_than_a_day() {
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        assert_eq!(wait("Tue, 19 Jan 2038 03:14:08 GMT"), Some(86_400));
        assert_eq!(wait("86401"), Some(86_400));
        assert_eq!(wait("99999999999999999999999999"), Some(86_400));
    }

    #[test]
    fn ignores_garbage() {
        for garbage in [
            "",
            "-1",
            "1e99",
            "1.5",
            "soon",
            "0x10",
            "Mon, 99 Foo 2026 12:00:00 GMT",
            "٣",
        ] {
            assert_eq!(wait(garbage), None, "{garbage:?}");
        }
        assert_eq!(parse(b"\xff\xfe", DateTime::UNIX_EPOCH), None);
    }
}
