//! A status as an error, and the error of reading one.

use super::Status;

/// A [`Status`] as an error, for `?` and `Box<dyn Error>`.
///
/// ```
/// use watchcache::{Status, StatusError};
///
/// fn delete() -> Result<(), StatusError> {
///     Err(Status::not_found("", "pods", "web-0"))?
/// }
///
/// let error = delete().unwrap_err();
/// assert!(error.status().is_not_found());
/// assert_eq!(error.to_string(), "pods \"web-0\" not found");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{status}")]
pub struct StatusError {
    // Boxed to keep every `Result` that carries it small.
    status: Box<Status>,
}

impl StatusError {
    /// The status behind the error.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Gives the status back.
    #[must_use]
    pub fn into_status(self) -> Status {
        *self.status
    }
}

impl From<Status> for StatusError {
    fn from(status: Status) -> Self {
        Self { status: Box::new(status) }
    }
}

impl From<StatusError> for Status {
    fn from(error: StatusError) -> Self {
        error.into_status()
    }
}

/// Why bytes are not a [`Status`].
///
/// An answer that may be what was asked for:
///
/// ```
/// use watchcache::Status;
/// use watchcache::status::StatusParseError;
///
/// match Status::from_json(br#"{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web"}}"#) {
///     Err(StatusParseError::UnexpectedObject { kind, .. }) => assert_eq!(kind, "Pod"),
///     // The page of a proxy, say.
///     Err(error) => panic!("{error}"),
///     Ok(status) => panic!("{status}"),
/// }
/// let page = Status::from_json(b"<html>no healthy upstream</html>");
/// assert!(matches!(page, Err(StatusParseError::Json(_))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusParseError {
    /// The bytes are not JSON, or a property has the wrong type.
    #[error("cannot read a Status from JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The bytes are an API object, but of another kind.
    #[error("unexpected object: kind {kind:?} of API version {api_version:?} is not a Status")]
    UnexpectedObject {
        /// The kind the object claims; empty if it claims none.
        kind: String,
        /// The API version the object claims; empty if it claims none.
        api_version: String,
    },
}
