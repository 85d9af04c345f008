//! Why a list or a watch failed, and what that asks for.

use std::error::Error;
use std::time::Duration;

use crate::ResourceVersion;
use crate::status::{CauseType, Status, StatusReason};

/// Why a list or a watch failed.
///
/// ```
/// use std::time::Duration;
/// use watchcache::Status;
/// use watchcache::reflector::SourceError;
///
/// // What a source answers with, and what a reflector makes of it.
/// let gone = SourceError::from(Status::expired("version 7 is too old"));
/// assert!(gone.is_expired(), "only a list helps");
/// let refused = SourceError::from(Status::forbidden("", "pods", "", "not yours"));
/// assert!(refused.is_permanent(), "asking again does not help");
/// let busy = SourceError::from(Status::too_many_requests(Duration::from_secs(5)));
/// assert_eq!(busy.retry_after(), Some(Duration::from_secs(5)));
/// let broken = SourceError::transport("connection reset");
/// assert!(!broken.is_permanent() && broken.retry_after().is_none());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The version asked for is no longer in the source's history: only a fresh list helps.
    #[error("the resource version is too old: {message}")]
    Expired {
        /// The source's message.
        message: String,
        /// For a list that had to stop between two pages: where the rest can be fetched, at a newer
        /// version.
        continue_token: Option<String>,
    },
    /// The source answered with a failure.
    #[error("{0}")]
    Status(Box<Status>),
    /// The source could not be reached, or the connection broke.
    #[error("{message}")]
    Transport {
        /// What happened, in a sentence.
        message: String,
        /// The error that says so, to look into. The message has its text and its causes', so that this is no
        /// [`source`](Error::source), which would repeat them.
        error: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The source answered with something that is not of its protocol.
    #[error("unexpected answer: {0}")]
    Protocol(String),
    /// The list is larger than
    /// [`list_limit`](crate::reflector::ReflectorBuilder::list_limit) allows.
    #[error("the list has more than {limit} bytes, which is the limit set for it")]
    ListTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The source is at a version older than what it had sent before: one of its servers lags, or its
    /// history was set back.
    #[error("the source is at version {version} only, {known} was already mirrored")]
    Behind {
        /// The source's version.
        version: ResourceVersion,
        /// The version that was mirrored before.
        known: ResourceVersion,
    },
    /// An event came in a version older than what had come before it, and is no repetition of that: the list
    /// before it was wrong, the source's history was set back, or its versions have no order.
    #[error(
        "an event of version {version} came after {known}, and does not repeat what came before"
    )]
    OutOfOrder {
        /// The event's version.
        version: ResourceVersion,
        /// The version that was mirrored before.
        known: ResourceVersion,
    },
    /// A sink panicked, or the source did, with this text. It ends the reflector.
    #[error("the reflector ended by a panic of a sink or of the source: {0}")]
    Panicked(String),
}

impl SourceError {
    /// The source could not be reached, or what it is made of failed: any error, or a sentence.
    ///
    /// ```
    /// use watchcache::reflector::SourceError;
    ///
    /// let missing = std::fs::read("/no/such/file").map_err(SourceError::transport);
    /// assert!(missing.unwrap_err().to_string().starts_with("No such file"));
    /// let error = SourceError::transport("no route");
    /// assert_eq!(error.to_string(), "no route");
    /// assert!(std::error::Error::source(&error).is_none(), "nothing is said twice");
    /// ```
    #[must_use]
    pub fn transport(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        Self::Transport { message: with_causes(&*error), error: Some(error) }
    }

    /// How long the source asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(status) => status.retry_after(),
            _ => None,
        }
    }

    /// Returns whether only a new list can help.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Expired { .. })
    }

    /// Returns whether the version asked for is one that the source has not reached (yet).
    #[must_use]
    pub fn is_version_too_large(&self) -> bool {
        match self {
            Self::Status(status) => status.has_cause(&CauseType::ResourceVersionTooLarge),
            _ => false,
        }
    }

    /// Returns whether the source does not support this kind of request, as an older server refuses a
    /// streaming list.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_bad_request()
                    || status.is_invalid()
                    || status.is_method_not_allowed()
                    || status.is_not_acceptable()
                    || status.is_unsupported_media_type()
            }
            _ => false,
        }
    }

    /// Returns whether a retry cannot help until someone changes something: no such resource, not
    /// allowed, not understood.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Status(status) => matches!(
                status.reason(),
                StatusReason::Unauthorized
                    | StatusReason::Forbidden
                    | StatusReason::NotFound
                    | StatusReason::BadRequest
                    | StatusReason::Invalid
                    | StatusReason::MethodNotAllowed
                    | StatusReason::NotAcceptable
            ),
            _ => false,
        }
    }
}

impl From<Status> for SourceError {
    fn from(status: Status) -> Self {
        if status.is_expired() {
            Self::Expired {
                message: status.message().to_owned(),
                continue_token: status.continue_token().map(str::to_owned),
            }
        } else {
            Self::Status(Box::new(status))
        }
    }
}

/// An error with what caused it, in one line; causes often repeat each other's text.
pub(in crate::reflector) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
