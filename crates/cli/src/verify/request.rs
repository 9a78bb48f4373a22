//! Reads a saved request: as it went over the wire, or a body with headers beside it.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::commands::read_source;
use crate::error::{CliError, Result};

/// A request that was kept.
#[derive(Debug)]
pub(super) struct SavedRequest {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Something odd about the file.
    pub(super) note: Option<String>,
}

impl SavedRequest {
    /// Reads `file` (a whole request) or `body` (a body alone), and adds `headers`.
    pub(super) fn read(
        file: Option<&str>,
        body: Option<&str>,
        headers: &[(String, String)],
    ) -> Result<Self> {
        let open = |path: &str| {
            let source = if path == "-" {
                path.to_owned()
            } else {
                format!("@{path}")
            };
            read_source(&source)
        };
        let mut request = match (file, body) {
            (Some(file), _) => Self::parse(&open(file)?)?,
            (None, Some(body)) => Self {
                headers: HeaderMap::new(),
                body: open(body)?,
                note: None,
            },
            (None, None) => return Err(CliError::Usage("give a FILE or --body".to_owned())),
        };
        for (name, value) in headers {
            add(&mut request.headers, name, value.as_bytes())?;
        }
        Ok(request)
    }

    /// Reads a request line (which may be missing), headers, an empty line and the body. Lines
    /// end with CRLF or LF.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut headers = HeaderMap::new();
        let mut rest = bytes;
        let mut is_first = true;
        loop {
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                return Err(no_body());
            };
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            rest = &rest[end + 1..];
            if line.is_empty() {
                break;
            }
            let is_request_line = is_first && is_request_line(line);
            is_first = false;
            if is_request_line {
                continue;
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                return Err(CliError::Usage(format!(
                    "this is no header line: {:?}",
                    String::from_utf8_lossy(&line[..line.len().min(60)])
                )));
            };
            let name = String::from_utf8_lossy(&line[..colon]).into_owned();
            add(&mut headers, &name, line[colon + 1..].trim_ascii())?;
        }
        if headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(CliError::Usage(
                "the body is in chunks (Transfer-Encoding); save it as the receiver reads it"
                    .into(),
            ));
        }
        let (body, note) = cut(rest, &headers);
        Ok(Self {
            headers,
            body: body.to_vec(),
            note,
        })
    }
}

/// As much of the file as `Content-Length` says: editors add a line feed at the end.
fn cut<'b>(rest: &'b [u8], headers: &HeaderMap) -> (&'b [u8], Option<String>) {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    match announced {
        Some(length) if length < rest.len() => {
            let more = rest.len() - length;
            let note =
                format!("the file has {more} bytes more than Content-Length; they are left out");
            (&rest[..length], Some(note))
        }
        Some(length) if length > rest.len() => {
            let less = length - rest.len();
            (
                rest,
                Some(format!(
                    "the file has {less} bytes less than Content-Length says"
                )),
            )
        }
        _ => (rest, None),
    }
}

fn is_request_line(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split(' ');
    let method = words.next().unwrap_or_default();
    let version = text.rsplit(' ').next().unwrap_or_default();
    !method.contains(':') && version.starts_with("HTTP/")
}

fn add(headers: &mut HeaderMap, name: &str, value: &[u8]) -> Result<()> {
    let wrong = || CliError::Usage(format!("{name:?} is not a header that HTTP allows"));
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_cause| wrong())?;
    let value = HeaderValue::from_bytes(value).map_err(|_cause| wrong())?;
    headers.append(name, value);
    Ok(())
}

fn no_body() -> CliError {
    CliError::Usage(
        "the file holds no request: after the headers an empty line must come, then the body"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_requests_with_either_line_end() {
        for text in [
            "POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Signature: 00\r\n\r\n{\"a\":1}\n",
            "X-Signature: 00\nHost: x\n\n{\"a\":1}\n",
        ] {
            let request = SavedRequest::parse(text.as_bytes()).unwrap();
            assert_eq!(request.headers["x-signature"], "00");
            assert_eq!(request.body, b"{\"a\":1}\n");
        }
    }

    #[test]
    fn content_length_says_where_the_body_ends() {
        let request = SavedRequest::parse(b"Content-Length: 2\n\n{}\n").unwrap();
        assert_eq!(request.body, b"{}");
        assert!(request.note.unwrap().contains("1 bytes more"));
        let request = SavedRequest::parse(b"Content-Length: 9\n\n{}").unwrap();
        assert!(request.note.unwrap().contains("7 bytes less"));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for bad in ["", "just text", "no header line\n\nbody", "A\u{1}: b\n\n"] {
            assert!(
                matches!(SavedRequest::parse(bad.as_bytes()), Err(CliError::Usage(_))),
                "{bad}"
            );
        }
    }
}
