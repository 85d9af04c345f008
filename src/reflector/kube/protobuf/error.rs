//! What can be wrong with an object in protobuf, or with what should become one.

use std::fmt;

/// Why bytes are not an object in protobuf, or JSON cannot be one, and in which of its fields.
///
/// ```
/// use serde_json::json;
/// use watchcache::reflector::protobuf::{self, Fault};
///
/// let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": 7}});
/// let error = protobuf::to_vec(&pod).expect_err("it is no text");
/// assert_eq!(error.path(), "spec.nodeName");
/// assert!(matches!(error.fault(), Fault::Expected(_)));
/// assert!(error.to_string().starts_with("spec.nodeName: expected "));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    fault: Fault,
    /// Names of fields, the innermost last.
    path: String,
}

/// What is wrong with bytes that should be an object in protobuf, or with JSON that should become one.
///
/// ```
/// use serde_json::{Value, json};
/// use watchcache::reflector::protobuf::{self, Fault};
///
/// /// The body of a request, and its content type: protobuf where there is a schema.
/// fn body(object: &Value) -> Result<(&'static str, Vec<u8>), protobuf::Error> {
///     match protobuf::to_vec(object) {
///         Ok(bytes) => Ok((protobuf::MEDIA_TYPE, bytes)),
///         Err(error) if matches!(error.fault(), Fault::UnknownKind { .. }) => {
///             Ok(("application/json", object.to_string().into_bytes()))
///         }
///         Err(error) => Err(error),
///     }
/// }
/// let web = json!({"apiVersion": "example.com/v1", "kind": "Web"});
/// assert_eq!(body(&web)?.0, "application/json");
/// # Ok::<(), protobuf::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It does not begin as Kubernetes' protobuf does.
    #[error("it does not begin with \"k8s\" and a zero byte")]
    Magic,
    /// It is compressed, or of another content type.
    #[error("it holds no plain protobuf, but {0:?}")]
    Content(String),
    /// It is of a kind that this crate has no schema of.
    #[error("no schema is known of {api_version} {kind}")]
    UnknownKind {
        /// Its API version.
        api_version: String,
        /// Its kind.
        kind: String,
    },
    /// It ends within a value, or a value is longer than what is left.
    #[error("it ends within a value")]
    Cut,
    /// A number has more than 64 bits.
    #[error("a number has more than 64 bits")]
    LongVarint,
    /// A field has a number that none can have.
    #[error("a field has a number that none can have")]
    Tag,
    /// A field is of a wire type that there is not.
    #[error("a field is of wire type {0}")]
    UnknownWireType(u8),
    /// A field is of another wire type than its schema says.
    #[error("a field is of another wire type than its schema says")]
    WireType,
    /// A field is there twice, or the elements of a list do not follow each other.
    #[error("a field is there twice")]
    Twice,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Utf8,
    /// A time lies outside of the years 0 to 9999.
    #[error("a time lies outside of the years 0 to 9999")]
    Time,
    /// Messages, lists and maps are nested deeper than 127 levels.
    #[error("it is nested deeper than 127 levels")]
    TooDeep,
    /// JSON within it does not read.
    #[error("JSON within it does not read: {0}")]
    Json(String),
    /// The type that it is decoded into does not take it.
    #[error("{0}")]
    Type(String),
    /// Of JSON: no field of this name is known.
    #[error("no field of this name is known")]
    UnknownField,
    /// Of JSON: the schema wants something else.
    #[error("expected {0}")]
    Expected(&'static str),
}

pub(super) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// Where it is wrong: names of fields as in JSON, with dots between them; empty where it is the
    /// object as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The same error, of what this field holds.
    #[cold]
    pub(super) fn within(mut self, field: &str) -> Self {
        let dot = if self.0.path.is_empty() { "" } else { "." };
        self.0.path.insert_str(0, dot);
        self.0.path.insert_str(0, field);
        self
    }
}

impl From<Fault> for Error {
    #[cold]
    fn from(fault: Fault) -> Self {
        Self(Box::new(Inner { fault, path: String::new() }))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Fault::Json(error.to_string()).into()
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault::Type(message.to_string()).into()
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path().is_empty() {
            write!(f, "{}: ", self.path())?;
        }
        self.fault().fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("fault", self.fault()).field("path", &self.path()).finish()
    }
}
