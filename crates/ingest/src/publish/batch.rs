//! Splits the body of a batch into its events: a JSON array, or one event per line (NDJSON).

use serde_json::value::RawValue;
use signpost_domain::Problem;

use crate::error::{ApiError, ErrorCode};

/// Most events of one batch.
pub const MAX_EVENTS: usize = 1000;

/// The events of a JSON array, each as the part of the body that it is.
///
/// # Errors
/// When it is no array, empty or too long.
pub fn split_array(body: &[u8]) -> Result<Vec<&[u8]>, ApiError> {
    let items: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Problem::new("", "this must be a list of events").into()
        } else {
            ApiError::new(ErrorCode::InvalidJson, error.to_string())
        }
    })?;
    check_count(items.iter().map(|item| item.get().as_bytes()).collect())
}

/// The events of NDJSON; empty lines are passed over.
///
/// # Errors
/// When there are none or too many.
pub fn split_lines(body: &[u8]) -> Result<Vec<&[u8]>, ApiError> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    check_count(lines.filter(|line| !line.is_empty()).collect())
}

fn check_count(items: Vec<&[u8]>) -> Result<Vec<&[u8]>, ApiError> {
    if (1..=MAX_EVENTS).contains(&items.len()) {
        return Ok(items);
    }
    let found = items.len();
    Err(Problem::new(
        "",
        format!("a batch has 1 to {MAX_EVENTS} events, this one {found}"),
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_give_the_same_parts() {
        assert_eq!(
            split_array(br#" [ {"a": 1} , 2,"x"] "#).unwrap(),
            [&br#"{"a": 1}"#[..], b"2", br#""x""#]
        );
        assert_eq!(
            split_lines(b"{\"a\": 1}\r\n\n 2\n\"x\"").unwrap(),
            [&br#"{"a": 1}"#[..], b"2", br#""x""#]
        );
    }

    #[test]
    fn refuses_what_is_no_list_empty_or_too_long() {
        let code = |result: Result<Vec<&[u8]>, ApiError>| result.unwrap_err().code();
        assert_eq!(code(split_array(b"{}")), ErrorCode::ValidationFailed);
        assert_eq!(code(split_array(b"[1,")), ErrorCode::InvalidJson);
        assert_eq!(code(split_array(b"[]")), ErrorCode::ValidationFailed);
        assert_eq!(code(split_lines(b"\n\n")), ErrorCode::ValidationFailed);
        let many = "1\n".repeat(MAX_EVENTS + 1);
        assert_eq!(
            code(split_lines(many.as_bytes())),
            ErrorCode::ValidationFailed
        );
        assert!(split_lines(&many.as_bytes()[2..]).is_ok());
    }
}
