//! A wire profile: read from JSON, checked as a whole, prepared for fast rendering.
//!
//! The API reads profiles when they are stored, the dispatcher when it loads them. Rendering is in
//! `request`, checking signatures in `verify`, keys in `key`.

mod read;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use crate::{
    Signature,
    template::{body::BodyTemplate, text::TextTemplate},
    timestamp::TimestampFormat,
};

/// Largest JSON text of a profile, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// A wire profile. Cloning is cheap: the prepared parts are shared.
///
/// Serialised it is the JSON document that it was read from.
#[derive(Clone)]
pub struct Profile(Arc<Parts>);

/// The prepared parts of a profile.
pub(crate) struct Parts {
    pub(crate) document: Value,
    pub(crate) description: Option<String>,
    pub(crate) content_type: String,
    pub(crate) body: BodyTemplate,
    pub(crate) timestamp: TimestampFormat,
    pub(crate) headers: Vec<(String, TextTemplate)>,
    pub(crate) sets_user_agent: bool,
    pub(crate) signature: Option<Signature>,
    pub(crate) success: Vec<String>,
    pub(crate) retry: Value,
    pub(crate) timeout: String,
}

impl Profile {
    /// Reads a profile from its JSON text.
    ///
    /// # Errors
    /// Every problem of the document at once, each with its place.
    pub fn parse(json: &str) -> Result<Self, ProfileError> {
        if json.len() > MAX_BYTES {
            return Err(ProfileError::one(format!(
                "a profile has at most {MAX_BYTES} bytes"
            )));
        }
        let document = serde_json::from_str(json)
            .map_err(|error| ProfileError::one(format!("this is not JSON: {error}")))?;
        Self::from_document(document)
    }

    /// Reads a profile from its JSON document.
    ///
    /// # Errors
    /// Every problem of the document at once, each with its place.
    pub fn from_document(document: Value) -> Result<Self, ProfileError> {
        read::read(document)
            .map(|parts| Self(Arc::new(parts)))
            .map_err(|problems| ProfileError { problems })
    }

    /// The JSON document, as it was given.
    pub fn document(&self) -> &Value {
        &self.0.document
    }

    /// What the profile is for, in a sentence.
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The `Content-Type` of each request.
    pub fn content_type(&self) -> &str {
        &self.0.content_type
    }

    /// The signature scheme; none when the profile signs nothing.
    pub fn signature(&self) -> Option<&Signature> {
        self.0.signature.as_ref()
    }

    /// The names of all headers that the profile sets. An endpoint's own headers must not be
    /// among them (compare without regard to case).
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        let own = self.0.headers.iter().map(|(name, _)| name.as_str());
        let signature = self.signature().map(Signature::header);
        ["Content-Type", "User-Agent"]
            .into_iter()
            .chain(own)
            .chain(signature)
    }

    /// The part `success`: status ranges such as `200-299`. This crate carries it;
    /// `domain::DeliveryPolicy` reads it.
    pub fn success(&self) -> &[String] {
        &self.0.success
    }

    /// The part `retry`: the schedule and what is retried. This crate carries it;
    /// `domain::DeliveryPolicy` reads it.
    pub fn retry(&self) -> &Value {
        &self.0.retry
    }

    /// The part `timeout`: a duration such as `15s`, from the name look-up to the last byte. This
    /// crate carries it; `domain::DeliveryPolicy` reads it.
    pub fn timeout(&self) -> &str {
        &self.0.timeout
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({})", self.document())
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.document() == other.document()
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_document(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// One problem of a profile document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileProblem {
    /// Where: a JSON pointer (RFC 6901), as in `/signature/content`.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// Everything that is wrong with a profile document; at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileError {
    problems: Vec<ProfileProblem>,
}

impl ProfileError {
    fn one(detail: String) -> Self {
        Self {
            problems: vec![ProfileProblem {
                pointer: String::new(),
                detail,
            }],
        }
    }

    /// The problems, in the order of the document's parts.
    pub fn problems(&self) -> &[ProfileProblem] {
        &self.problems
    }

    /// The problems by value.
    pub fn into_problems(self) -> Vec<ProfileProblem> {
        self.problems
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the profile is not valid")?;
        for (index, ProfileProblem { pointer, detail }) in self.problems.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            if !pointer.is_empty() {
                write!(f, "{pointer}: ")?;
            }
            f.write_str(detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for ProfileError {}
