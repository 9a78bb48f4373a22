//! Durations as people write them: `500ms`, `10s`, `5m`, `2h`, `30d`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write a whole number and a unit (ms, s, m, h or d), as in `10s`")]
pub struct DurationError(String);

/// Ten years: longer durations are refused, so that no sum of them can overflow a time.
const LONGEST: Duration = Duration::from_secs(3650 * 86400);

/// Reads a whole number with a unit.
///
/// # Errors
/// When the text is anything else, or longer than ten years.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(text.chars().take(100).collect());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_not_a_number| error())?;
    let millis = match &text[digits..] {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        _ => None,
    };
    millis
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(error)
}

/// Writes a duration with the largest unit that divides it; parts below a millisecond are dropped.
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if millis > 0 && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_every_unit() {
        for text in ["250ms", "10s", "100s", "5m", "2h", "30d"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(format_duration(Duration::from_secs(3600)), "1h");
        assert_eq!(format_duration(Duration::ZERO), "0ms");
    }

    #[test]
    fn refuses_everything_else() {
        for bad in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "1w",
            "99999999999999999999s",
            "4000d",
            "١s",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
