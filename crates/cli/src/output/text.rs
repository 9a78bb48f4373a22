//! Small texts: cleaned, shortened, times.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// Whether a character could move the cursor, change colours or hide text on a terminal:
/// control characters (C0, DEL, C1), and marks that change the writing's direction.
pub(super) fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of a stranger, safe on a terminal: dangerous characters show as `\u{1b}`.
pub fn clean(text: &str) -> Cow<'_, str> {
    escape(text, is_dangerous)
}

/// The same for text of several lines; line feeds and tabs stay, carriage returns go.
pub fn clean_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        let without = text.replace("\r\n", "\n");
        return Cow::Owned(
            escape(&without, |c| is_dangerous(c) && !"\n\t".contains(c)).into_owned(),
        );
    }
    escape(text, |c| is_dangerous(c) && !"\n\t".contains(c))
}

fn escape(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' if is_bad(c) => out.push_str("\\n"),
            '\r' if is_bad(c) => out.push_str("\\r"),
            '\t' if is_bad(c) => out.push_str("\\t"),
            c if is_bad(c) => write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default(),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// At most `most` characters, the last an ellipsis where something was cut off.
pub fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    Cow::Owned(kept + "…")
}

/// An RFC 3339 time of the API as `2026-01-31 12:00:00`, in UTC; other text as it is.
pub fn time(text: &str) -> String {
    show_time(text, "%Y-%m-%d %H:%M:%S")
}

/// The same with milliseconds.
pub fn time_ms(text: &str) -> String {
    show_time(text, "%Y-%m-%d %H:%M:%S%.3f")
}

/// About how long, in the largest unit that fits: `45s`, `3m`, `26h`, `1800d`.
pub fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn show_time(text: &str, format: &str) -> String {
    match chrono::DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.to_utc().format(format).to_string(),
        Err(_not_a_time) => clean(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(clean("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(clean_lines("a\r\nb\tc\u{7}"), "a\nb\tc\\u{7}");
        assert!(matches!(clean("plain ünïcode"), Cow::Borrowed(_)));
    }

    #[test]
    fn shortening_counts_characters() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
    }

    #[test]
    fn spans_are_about_right() {
        let shown = [0, 119, 120, 7_200, 172_799, 172_800]
            .map(|seconds| rough(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0s", "119s", "2m", "2h", "47h", "2d"]);
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(time("2026-01-31T13:00:00+01:00"), "2026-01-31 12:00:00");
        assert_eq!(
            time_ms("2026-01-31T12:00:00.1234Z"),
            "2026-01-31 12:00:00.123"
        );
        assert_eq!(time("soon"), "soon");
    }
}
