//! Templates of plain text: header values, signed content, the signature's value.
//!
//! Prepared by the profile reader; rendered for each attempt.

use super::{Field, Place, Token, scan};

/// A part of a text template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    Field(Field),
}

/// A text template, prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextTemplate {
    segments: Vec<Segment>,
}

impl TextTemplate {
    /// Prepares a template; the error lists every unknown placeholder.
    pub(crate) fn parse(text: &str, place: Place) -> Result<Self, Vec<String>> {
        let mut segments = Vec::new();
        let mut problems = Vec::new();
        for token in scan(text) {
            match token {
                Token::Literal(literal) => segments.push(Segment::Literal(literal.to_owned())),
                Token::Placeholder(name) => match place.field(name) {
                    Ok(field) => segments.push(Segment::Field(field)),
                    Err(problem) => problems.push(problem),
                },
            }
        }
        if problems.is_empty() {
            Ok(Self { segments })
        } else {
            Err(problems)
        }
    }

    /// The parts, in order.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The placeholders, in order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Field(field) => Some(*field),
            Segment::Literal(_) => None,
        })
    }

    /// Whether the template is this placeholder and nothing else.
    pub(crate) fn is_exactly(&self, field: Field) -> bool {
        self.segments == [Segment::Field(field)]
    }

    /// Renders the template; `write` appends a field's value.
    pub(crate) fn render(&self, mut write: impl FnMut(Field, &mut String)) -> String {
        let mut text = String::with_capacity(64);
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => text.push_str(literal),
                Segment::Field(field) => write(*field, &mut text),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> String {
        let template = TextTemplate::parse(text, Place::Header).unwrap();
        template.render(|field, out| out.push_str(&field.name().to_uppercase()))
    }

    #[test]
    fn placeholders_are_replaced_and_other_braces_stay() {
        assert_eq!(render("{id}"), "ID");
        assert_eq!(render("a {id}/{attempt}{type} z"), "a ID/ATTEMPTTYPE z");
        for literal in [
            "",
            "plain",
            "{}",
            "{",
            "}",
            "{id",
            "id}",
            "{ id }",
            "{\"a\":1}",
            "{é}",
        ] {
            assert_eq!(render(literal), literal);
        }
        assert_eq!(render("{{id}}"), "{ID}");
    }

    #[test]
    fn unknown_placeholders_are_all_named() {
        let problems = TextTemplate::parse("{ID}{data} {nope}", Place::Header).unwrap_err();
        assert_eq!(problems.len(), 3);
        assert!(problems[0].contains("`{ID}`") && problems[0].contains("{delivery_id}"));
        let problems = TextTemplate::parse("{attempt_timestamp}", Place::Content).unwrap_err();
        assert!(
            problems[0].contains("the time of the attempt"),
            "{problems:?}"
        );
    }

    #[test]
    fn knows_when_it_is_one_placeholder() {
        let exact = TextTemplate::parse("{id}", Place::Header).unwrap();
        assert!(exact.is_exactly(Field::Id) && !exact.is_exactly(Field::Type));
        assert!(
            !TextTemplate::parse("{id} ", Place::Header)
                .unwrap()
                .is_exactly(Field::Id)
        );
    }
}
