//! Templates: text or JSON with placeholders such as `{id}`, prepared once when the profile is
//! read.
//!
//! [`body`] is a JSON template, [`text`] a header value or signed content. Both know their
//! placeholders by the closed set [`Field`].

pub(crate) mod body;
pub(crate) mod text;

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// The event type, `license.created`.
    Type,
    /// The event type with slashes, `orders/create`: the form in which Shopify writes topics.
    TypePath,
    /// The event's id.
    Id,
    /// The tenant's id.
    Tenant,
    /// A time: in a body or a header the event's, in a signature the attempt's.
    Timestamp,
    /// The event's `data`, byte for byte.
    Data,
    /// The rendered body.
    Body,
    /// One encoded signature.
    Signature,
    /// The attempt's number, from 1.
    Attempt,
    /// When the attempt is made, unix seconds.
    AttemptTimestamp,
    /// The delivery's id.
    DeliveryId,
}

impl Field {
    const ALL: [Self; 11] = [
        Self::Type,
        Self::TypePath,
        Self::Id,
        Self::Tenant,
        Self::Timestamp,
        Self::Data,
        Self::Body,
        Self::Signature,
        Self::Attempt,
        Self::AttemptTimestamp,
        Self::DeliveryId,
    ];

    /// What stands between the braces.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::TypePath => "type_path",
            Self::Id => "id",
            Self::Tenant => "tenant",
            Self::Timestamp => "timestamp",
            Self::Data => "data",
            Self::Body => "body",
            Self::Signature => "signature",
            Self::Attempt => "attempt",
            Self::AttemptTimestamp => "attempt_timestamp",
            Self::DeliveryId => "delivery_id",
        }
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// Where a template stands, which decides its placeholders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Body,
    Header,
    Content,
    Value,
}

impl Place {
    const fn fields(self) -> &'static [Field] {
        match self {
            Self::Body => &[
                Field::Type,
                Field::Id,
                Field::Tenant,
                Field::Timestamp,
                Field::Data,
            ],
            Self::Header => &[
                Field::Type,
                Field::TypePath,
                Field::Id,
                Field::Tenant,
                Field::Timestamp,
                Field::Attempt,
                Field::AttemptTimestamp,
                Field::DeliveryId,
            ],
            Self::Content => &[
                Field::Body,
                Field::Id,
                Field::Timestamp,
                Field::Type,
                Field::Tenant,
                Field::DeliveryId,
                Field::Attempt,
            ],
            Self::Value => &[Field::Signature, Field::Timestamp],
        }
    }

    /// The field of that name, or what would be right here.
    fn field(self, name: &str) -> Result<Field, String> {
        if let Some(field) = Field::find(name).filter(|field| self.fields().contains(field)) {
            return Ok(field);
        }
        let known: Vec<_> = self
            .fields()
            .iter()
            .map(|field| format!("{{{}}}", field.name()))
            .collect();
        let known = known.join(", ");
        let why = match (self, Field::find(name)) {
            (Self::Body, Some(Field::Attempt | Field::AttemptTimestamp)) => {
                " (a body is the same on each attempt; put this into a header)"
            }
            (Self::Content | Self::Value, Some(Field::AttemptTimestamp)) => {
                " (in a signature `{timestamp}` is the time of the attempt)"
            }
            _ => "",
        };
        Err(format!(
            "unknown placeholder `{{{name}}}`{why}; here stand {known}"
        ))
    }
}

/// A piece of a scanned text: literal text, or the name between two braces.
enum Token<'t> {
    Literal(&'t str),
    Placeholder(&'t str),
}

/// Cuts a text at its placeholders. Braces around anything but a word are literal text, so that
/// `{}` or JSON in a template need no escape.
fn scan(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut literal, mut from) = (0, 0);
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let inner = &text[open + 1..];
        let word = inner
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        if word > 0 && inner.as_bytes().get(word) == Some(&b'}') {
            if literal < open {
                tokens.push(Token::Literal(&text[literal..open]));
            }
            tokens.push(Token::Placeholder(&inner[..word]));
            from = open + word + 2;
            literal = from;
        } else {
            from = open + 1;
        }
    }
    if literal < text.len() {
        tokens.push(Token::Literal(&text[literal..]));
    }
    tokens
}
