//! The causes of a failure: a type, a message and a field each.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::wire::or_default;

/// What kind of problem a [`StatusCause`] describes.
///
/// These are the `CauseType` constants of [apimachinery]; the spelling of 2014
/// (`fieldValueRequired`) is read as well, and an unknown one is kept word for word.
///
/// ```
/// use watchcache::status::CauseType;
///
/// assert_eq!(CauseType::from("FieldValueRequired"), CauseType::FieldValueRequired);
/// assert_eq!(CauseType::from("DisruptionBudget").as_str(), "DisruptionBudget");
/// ```
///
/// [apimachinery]: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#CauseType
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum CauseType {
    /// The server gave no type; written as the empty string.
    #[default]
    Unknown,
    /// The value refers to something that does not exist.
    FieldValueNotFound,
    /// A required value is missing.
    FieldValueRequired,
    /// A value that must be unique occurs twice.
    FieldValueDuplicate,
    /// The value is malformed.
    FieldValueInvalid,
    /// The value is not one of the allowed ones.
    FieldValueNotSupported,
    /// The value may not be set here or by this caller.
    FieldValueForbidden,
    /// The value is too long.
    FieldValueTooLong,
    /// There are too many values.
    FieldValueTooMany,
    /// The value has the wrong type.
    FieldValueTypeInvalid,
    /// An error inside the server.
    InternalError,
    /// The client does not understand the answer, for example a proxy's error page.
    UnexpectedServerResponse,
    /// Another field manager owns the field.
    FieldManagerConflict,
    /// The resource version asked for is newer than anything the server has.
    ResourceVersionTooLarge,
    /// A type this crate does not know, word for word.
    ///
    /// Build it with `CauseType::from`, which picks the named variant where one exists.
    Other(String),
}

impl CauseType {
    /// The type as the API spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unknown => "",
            Self::FieldValueNotFound => "FieldValueNotFound",
            Self::FieldValueRequired => "FieldValueRequired",
            Self::FieldValueDuplicate => "FieldValueDuplicate",
            Self::FieldValueInvalid => "FieldValueInvalid",
            Self::FieldValueNotSupported => "FieldValueNotSupported",
            Self::FieldValueForbidden => "FieldValueForbidden",
            Self::FieldValueTooLong => "FieldValueTooLong",
            Self::FieldValueTooMany => "FieldValueTooMany",
            Self::FieldValueTypeInvalid => "FieldValueTypeInvalid",
            Self::InternalError => "InternalError",
            Self::UnexpectedServerResponse => "UnexpectedServerResponse",
            Self::FieldManagerConflict => "FieldManagerConflict",
            Self::ResourceVersionTooLarge => "ResourceVersionTooLarge",
            Self::Other(text) => text,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" => Self::Unknown,
            "FieldValueNotFound" | "fieldValueNotFound" => Self::FieldValueNotFound,
            "FieldValueRequired" | "fieldValueRequired" => Self::FieldValueRequired,
            "FieldValueDuplicate" | "fieldValueDuplicate" => Self::FieldValueDuplicate,
            "FieldValueInvalid" | "fieldValueInvalid" => Self::FieldValueInvalid,
            "FieldValueNotSupported" | "fieldValueNotSupported" => Self::FieldValueNotSupported,
            "FieldValueForbidden" => Self::FieldValueForbidden,
            "FieldValueTooLong" => Self::FieldValueTooLong,
            "FieldValueTooMany" => Self::FieldValueTooMany,
            "FieldValueTypeInvalid" => Self::FieldValueTypeInvalid,
            "InternalError" => Self::InternalError,
            "UnexpectedServerResponse" => Self::UnexpectedServerResponse,
            "FieldManagerConflict" => Self::FieldManagerConflict,
            "ResourceVersionTooLarge" => Self::ResourceVersionTooLarge,
            _ => return None,
        })
    }

    fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

impl From<&str> for CauseType {
    fn from(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl From<String> for CauseType {
    fn from(text: String) -> Self {
        Self::parse(&text).unwrap_or(Self::Other(text))
    }
}

impl FromStr for CauseType {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

impl From<CauseType> for String {
    fn from(cause: CauseType) -> Self {
        match cause {
            CauseType::Other(text) => text,
            named => named.as_str().to_owned(),
        }
    }
}

impl fmt::Display for CauseType {
    /// Prints the API spelling, and `Unknown` where the server gave no type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.pad("Unknown"),
            cause => f.pad(cause.as_str()),
        }
    }
}

/// One problem among the several that a [`Status`](super::Status) may report, often one field
/// of an invalid object.
///
/// ```
/// use watchcache::status::{CauseType, StatusCause};
///
/// let cause = StatusCause::new(CauseType::FieldValueRequired, "must name an image")
///     .with_field("spec.containers[0].image");
/// assert_eq!(cause.to_string(), "spec.containers[0].image: must name an image");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusCause {
    #[serde(
        rename = "reason",
        deserialize_with = "or_default",
        skip_serializing_if = "CauseType::is_unknown"
    )]
    pub(super) cause: CauseType,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(super) field: String,
}

impl StatusCause {
    /// A cause of the given type, with a message for humans.
    #[must_use]
    pub fn new(cause: impl Into<CauseType>, message: impl Into<String>) -> Self {
        Self { cause: cause.into(), message: message.into(), field: String::new() }
    }

    /// Names the field at fault, in the notation of the object's JSON: `spec.containers[0].image`.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// The kind of problem; the API calls this property `reason`.
    #[must_use]
    pub fn cause(&self) -> &CauseType {
        &self.cause
    }

    /// The message for humans; empty if the server sent none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The field at fault; empty if no single field is.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for StatusCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        match self.message.as_str() {
            "" => write!(f, "{}", self.cause),
            message => f.write_str(message),
        }
    }
}
