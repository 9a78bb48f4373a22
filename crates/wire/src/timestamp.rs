//! How a profile writes the time of an event: RFC 3339 in UTC, or unix seconds.
//!
//! Called when bodies and headers are rendered. Never reads a clock.

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

/// A profile's `timestamp` part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimestampFormat {
    /// RFC 3339, `2024-01-15T10:30:00.123Z`, with this many fraction digits (0 to 9).
    Rfc3339(u8),
    /// Whole seconds since 1970.
    Unix,
}

impl TimestampFormat {
    /// Most fraction digits that may be asked for: nanoseconds.
    pub(crate) const MAX_DIGITS: u8 = 9;

    /// Writes the time as text.
    ///
    /// Anything below a microsecond is cut off and written as zeros: a ledger such as
    /// PostgreSQL keeps no more, and a body rendered again from it must be the same bytes.
    pub(crate) fn text(self, at: DateTime<Utc>) -> String {
        let Self::Rfc3339(digits) = self else {
            return at.timestamp().to_string();
        };
        let mut text = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
        );
        if digits > 0 {
            // chrono shows a leap second as more than a second's worth of nanoseconds.
            let micros = at.timestamp_subsec_micros().min(999_999);
            let fraction = format!("{micros:06}000");
            let end = usize::from(digits.min(Self::MAX_DIGITS));
            text.push('.');
            text.push_str(&fraction[..end]);
        }
        text.push('Z');
        text
    }

    /// Writes the time as a JSON value: a string, or a number for unix seconds.
    pub(crate) fn json(self, at: DateTime<Utc>) -> String {
        match self {
            Self::Unix => self.text(at),
            Self::Rfc3339(_) => format!("\"{}\"", self.text(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn writes_the_asked_for_number_of_digits() {
        let time = at("2018-04-20T13:11:34.692694987Z");
        for (digits, text) in [
            (0, "2018-04-20T13:11:34Z"),
            (1, "2018-04-20T13:11:34.6Z"),
            (3, "2018-04-20T13:11:34.692Z"),
            (6, "2018-04-20T13:11:34.692694Z"),
            (7, "2018-04-20T13:11:34.6926940Z"),
            (9, "2018-04-20T13:11:34.692694000Z"),
        ] {
            assert_eq!(TimestampFormat::Rfc3339(digits).text(time), text);
        }
        assert_eq!(TimestampFormat::Unix.text(time), "1524229894");
    }

    #[test]
    fn a_time_cut_to_microseconds_gives_the_same_text() {
        let (exact, kept) = (
            at("2018-04-20T13:11:34.692694987Z"),
            at("2018-04-20T13:11:34.692694Z"),
        );
        for digits in 0..=9 {
            let format = TimestampFormat::Rfc3339(digits);
            assert_eq!(format.text(exact), format.text(kept));
        }
    }

    #[test]
    fn odd_times_are_written_too() {
        assert_eq!(
            TimestampFormat::Rfc3339(3).text(at("2016-12-31T23:59:60.5Z")),
            "2016-12-31T23:59:59.999Z"
        );
        assert_eq!(
            TimestampFormat::Unix.text(at("1969-12-31T23:59:58.5Z")),
            "-2"
        );
        assert!(
            TimestampFormat::Rfc3339(9)
                .text(DateTime::<Utc>::MAX_UTC)
                .ends_with('Z')
        );
        assert!(
            TimestampFormat::Rfc3339(9)
                .text(DateTime::<Utc>::MIN_UTC)
                .ends_with('Z')
        );
    }

    #[test]
    fn in_json_unix_seconds_are_a_number() {
        assert_eq!(TimestampFormat::Unix.json(at("1970-01-01T00:00:07Z")), "7");
        assert_eq!(
            TimestampFormat::Rfc3339(0).json(at("1970-01-01T00:00:07Z")),
            "\"1970-01-01T00:00:07Z\""
        );
    }
}
