//! Reading what the user gives: literal text, `@file`, or `-` for standard input.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::error::{CliError, Result};

/// The bytes that `text` means: `@FILE`, `-` for standard input, or the text itself.
pub fn read_source(text: &str) -> Result<Vec<u8>> {
    if text == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("failed to read standard input")?;
        return Ok(bytes);
    }
    match text.strip_prefix('@') {
        Some(path) => read_file(Path::new(path)),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// A file's bytes; one that cannot be read is a usage error.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| CliError::Usage(format!("cannot read {}: {error}", path.display())))
}

/// The JSON value that `text` means (`@FILE`, `-`, or itself).
pub fn read_json(text: &str, what: &str) -> Result<Value> {
    serde_json::from_slice(&read_source(text)?)
        .map_err(|error| CliError::Usage(format!("{what} is not valid JSON: {error}")))
}

/// A JSON value, or a text where it is none: `5` is a number, `10s` a text.
pub fn parse_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// `name=value`, for clap.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// `Name: value`, for clap.
pub fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write 'Name: value'".to_owned()),
    }
}

/// A secret given as such or in a file, whose last line feed does not count.
pub fn secret_of(secret: Option<String>, file: Option<&Path>) -> Result<Option<String>> {
    match (secret, file) {
        (Some(secret), _) => Ok(Some(secret)),
        (None, Some(path)) => {
            let bytes = read_file(path)?;
            let text = String::from_utf8(bytes)
                .map_err(|_cause| CliError::Usage(format!("{} is not text", path.display())))?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_text_or_a_file() {
        let dir = signpost_testkit::scratch_dir("input").unwrap();
        let path = dir.join("data.json");
        std::fs::write(&path, b"{\"a\":1.0}").unwrap();
        assert_eq!(
            read_source(&format!("@{}", path.display())).unwrap(),
            b"{\"a\":1.0}"
        );
        assert_eq!(read_source("{}").unwrap(), b"{}");
        assert!(matches!(
            read_source("@/nowhere/at/all"),
            Err(CliError::Usage(_))
        ));
    }

    #[test]
    fn headers_and_pairs_are_split_at_the_first_mark() {
        assert_eq!(
            parse_header("X-A: b:c").unwrap(),
            ("X-A".into(), "b:c".into())
        );
        assert_eq!(parse_pair("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(parse_header("nothing").is_err() && parse_pair("=x").is_err());
    }
}
