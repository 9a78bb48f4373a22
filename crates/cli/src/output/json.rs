//! JSON for people, without reading it as values: `1.0` stays `1.0`, keys keep their order.

use std::fmt::Write as _;

use super::text::is_dangerous;

/// Indents a JSON text by two spaces. What is not JSON comes back in one piece and cleaned of
/// control characters, so that it is safe on a terminal either way.
pub fn pretty_or_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() => {
            pretty(text)
        }
        _ => super::clean_lines(&String::from_utf8_lossy(bytes)).into_owned(),
    }
}

/// Indents a valid JSON text by two spaces; every token stays as it was written, except that
/// characters that could steer a terminal are written as `\u` escapes, which mean the same.
pub fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out.push('"');
                copy_string(&mut chars, &mut out);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() || is_dangerous(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Copies up to and with the closing quote.
fn copy_string(chars: &mut impl Iterator<Item = char>, out: &mut String) {
    while let Some(c) = chars.next() {
        if is_dangerous(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").unwrap_or_default();
            }
            continue;
        }
        out.push(c);
        match c {
            '"' => return,
            '\\' => out.extend(chars.next()),
            _ => {}
        }
    }
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stay_as_they_were_written() {
        let text = r#"{"z":1.0,"a":12345678901234567890,"e":1e400,"s":"a,{\"b\":1}","n":[],"o":{ },"l":[1,[2]]}"#;
        insta::assert_snapshot!(pretty(text), @r#"
        {
          "z": 1.0,
          "a": 12345678901234567890,
          "e": 1e400,
          "s": "a,{\"b\":1}",
          "n": [],
          "o": {},
          "l": [
            1,
            [
              2
            ]
          ]
        }
        "#);
    }

    #[test]
    fn indenting_twice_changes_nothing() {
        let once = pretty(r#" { "a" : [ 1 , { "b" : null } ] } "#);
        assert_eq!(pretty(&once), once);
    }

    #[test]
    fn no_string_can_steer_the_terminal() {
        // U+009B is a one-character escape sequence introducer; U+202E turns the writing round.
        let text = "{\"a\":\"\u{9b}31m\u{202e}\u{7f}\"}";
        assert_eq!(pretty(text), "{\n  \"a\": \"\\u009b31m\\u202e\\u007f\"\n}");
        let shown = pretty_or_text(b"not json \x1b]0;title\x07");
        assert_eq!(shown, "not json \\u{1b}]0;title\\u{7}");
    }
}
