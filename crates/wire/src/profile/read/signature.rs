//! Reads the part `signature` and checks that a receiver can verify what it describes.

use serde_json::Value;

use super::Reader;
use crate::{
    Algorithm, Encoding, KeyForm, Scope, Signature,
    header::{MAX_VALUE, check_name},
    signature::{Carrier, Piece},
    template::{
        Field, Place,
        text::{Segment, TextTemplate},
    },
};

const KNOWN: &[&str] = &[
    "algorithm",
    "content",
    "encoding",
    "header",
    "key",
    "required",
    "scope",
    "separator",
    "value",
];

/// A problem was found and has been noted.
struct Noted;

type Headers = [(String, TextTemplate)];

impl Reader {
    /// `headers` are the profile's, when those could be read.
    pub(super) fn signature(
        &mut self,
        value: &Value,
        headers: Option<&Headers>,
    ) -> Option<Signature> {
        let map = self.object(value, "/signature", KNOWN)?;
        let header = self.header(map.get("header"), headers);
        let algorithm = self.choice(
            map.get("algorithm"),
            "/signature/algorithm",
            Algorithm::HmacSha256,
            "`hmac-sha256`, `hmac-sha512` or `ed25519`",
        );
        let (content_text, content) = self.content(map.get("content")).unzip();
        let encoding = self.choice(
            map.get("encoding"),
            "/signature/encoding",
            Encoding::Hex,
            "`hex` or `base64`",
        );
        let separator = self.separator(map.get("separator"));
        let pieces = match &separator {
            Ok(separator) => self.pieces(map.get("value"), separator.as_deref()),
            Err(Noted) => None,
        };
        let key_form = self.key_form(map.get("key"), algorithm);
        let scope = self.choice(
            map.get("scope"),
            "/signature/scope",
            Scope::Endpoint,
            "`endpoint` or `tenant`",
        );
        let required = self.choice(
            map.get("required"),
            "/signature/required",
            true,
            "`true` or `false`",
        );
        let (content, pieces) = (content?, pieces?);
        let carriers = self.carriers(&content, &pieces, headers?);
        Some(Signature {
            header: header?,
            algorithm: algorithm?,
            encoding: encoding?,
            key_form: key_form?,
            scope: scope?,
            required: required?,
            separator: separator.ok()?,
            content_text: content_text?,
            content,
            pieces,
            carriers,
        })
    }

    fn header(&mut self, value: Option<&Value>, headers: Option<&Headers>) -> Option<String> {
        let pointer = "/signature/header";
        let Some(value) = value else {
            self.note(
                pointer,
                "missing; name the header that carries the signature",
            );
            return None;
        };
        let name = self.text(value, pointer)?;
        if let Err(detail) = check_name(name) {
            self.note(pointer, detail);
        }
        if headers.is_some_and(|all| {
            all.iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(name))
        }) {
            self.note(
                pointer,
                "the same header is also in `headers`; remove it there",
            );
        }
        Some(name.to_owned())
    }

    fn content(&mut self, value: Option<&Value>) -> Option<(String, TextTemplate)> {
        let pointer = "/signature/content";
        let text = value.map_or(Some("{body}"), |value| self.text(value, pointer))?;
        if text.len() > MAX_VALUE {
            self.note(pointer, format!("at most {MAX_VALUE} characters"));
        }
        match TextTemplate::parse(text, Place::Content) {
            Ok(template) => {
                if template
                    .fields()
                    .filter(|field| *field == Field::Body)
                    .count()
                    != 1
                {
                    self.note(
                        pointer,
                        "must hold `{body}` once: what is not signed can be changed",
                    );
                }
                Some((text.to_owned(), template))
            }
            Err(problems) => {
                for detail in problems {
                    self.note(pointer, detail);
                }
                None
            }
        }
    }

    fn separator(&mut self, value: Option<&Value>) -> Result<Option<String>, Noted> {
        let pointer = "/signature/separator";
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let text = self.text(value, pointer).ok_or(Noted)?;
        // It must not occur in a signature, a number or a placeholder.
        let is_legal = |b: u8| {
            (b' '..=b'~').contains(&b) && !b.is_ascii_alphanumeric() && !b"+/={}_-".contains(&b)
        };
        if text.is_empty() || text.len() > 8 || !text.bytes().all(is_legal) {
            self.note(pointer, "must be a space or punctuation such as `,` or `;`");
            return Err(Noted);
        }
        Ok(Some(text.to_owned()))
    }

    /// Cuts the value at the separator: what holds the signature is repeated for each key, the
    /// rest stands once.
    fn pieces(&mut self, value: Option<&Value>, separator: Option<&str>) -> Option<Vec<Piece>> {
        let pointer = "/signature/value";
        let text = value.map_or(Some("{signature}"), |value| self.text(value, pointer))?;
        let template = self.template(text, Place::Value, pointer)?;
        let count = |wanted| template.fields().filter(|field| *field == wanted).count();
        if count(Field::Signature) != 1 || count(Field::Timestamp) > 1 {
            self.note(
                pointer,
                "must hold `{signature}` once, and `{timestamp}` at most once",
            );
            return None;
        }
        let texts =
            separator.map_or_else(|| vec![text], |separator| text.split(separator).collect());
        let mut pieces = Vec::new();
        for text in texts {
            // The whole was read above, and a separator never cuts a placeholder.
            let template = TextTemplate::parse(text, Place::Value).ok()?;
            match template.segments() {
                [] => {
                    self.note(
                        pointer,
                        "must not begin or end with the separator or double it",
                    );
                    return None;
                }
                segments => {
                    let Some(piece) = piece(segments) else {
                        self.note(
                            pointer,
                            "`{signature}` and `{timestamp}` need a `separator` between them",
                        );
                        return None;
                    };
                    pieces.push(piece);
                }
            }
        }
        Some(pieces)
    }

    fn key_form(&mut self, value: Option<&Value>, algorithm: Option<Algorithm>) -> Option<KeyForm> {
        let pointer = "/signature/key";
        let is_pair = algorithm == Some(Algorithm::Ed25519);
        let default = if is_pair {
            KeyForm::Base64AfterPrefix
        } else {
            KeyForm::Utf8
        };
        let form = self.choice(value, pointer, default, "`utf8` or `base64-after-prefix`")?;
        if is_pair && form == KeyForm::Utf8 {
            self.note(
                pointer,
                "an Ed25519 key is `base64-after-prefix` (`whsk_…`)",
            );
        }
        Some(form)
    }

    /// Finds where a receiver reads each signed field.
    fn carriers(
        &mut self,
        content: &TextTemplate,
        pieces: &[Piece],
        headers: &Headers,
    ) -> Vec<(Field, Carrier)> {
        let mut carriers: Vec<(Field, Carrier)> = Vec::new();
        for field in content.fields().filter(|field| *field != Field::Body) {
            if carriers.iter().any(|(known, _)| *known == field) {
                continue;
            }
            let in_header = if field == Field::Timestamp {
                Field::AttemptTimestamp
            } else {
                field
            };
            let header = headers
                .iter()
                .find(|(_, template)| template.is_exactly(in_header));
            if field == Field::Timestamp
                && pieces
                    .iter()
                    .any(|piece| piece.field == Some(Field::Timestamp))
            {
                carriers.push((field, Carrier::Value));
            } else if let Some((name, _)) = header {
                carriers.push((field, Carrier::Header(name.clone())));
            } else {
                self.note(
                    "/signature/content",
                    format!(
                        "a receiver cannot know `{{{}}}`: add a header that is exactly `{{{}}}`",
                        field.name(),
                        in_header.name()
                    ),
                );
            }
        }
        carriers
    }
}

/// The segments as text around at most one placeholder.
fn piece(segments: &[Segment]) -> Option<Piece> {
    let literal = |segment: &Segment| match segment {
        Segment::Literal(text) => Some(text.clone()),
        Segment::Field(_) => None,
    };
    let (before, field, after) = match segments {
        [Segment::Field(field)] => (String::new(), Some(*field), String::new()),
        [Segment::Literal(text)] => (text.clone(), None, String::new()),
        [before, Segment::Field(field)] => (literal(before)?, Some(*field), String::new()),
        [Segment::Field(field), after] => (String::new(), Some(*field), literal(after)?),
        [before, Segment::Field(field), after] => (literal(before)?, Some(*field), literal(after)?),
        _ => return None,
    };
    Some(Piece {
        before,
        field,
        after,
    })
}
