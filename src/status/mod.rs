//! The Kubernetes API's machine-readable result: what happened, why, and to which object.
//!
//! An API server answers failed requests, and many successful ones, with a [`Status`]; an `ERROR` event
//! of a watch carries one, too. It has three levels of detail: the HTTP [code](Status::code), the
//! [reason](Status::reason) that a program matches on, and the [details](Status::details) with the object,
//! the individual causes and the retry delay.
//!
//! The types follow [metav1.Status] and the helpers of [apimachinery's errors package][errors],
//! and still read the API's first form, of 2014: lower-case words, `id` in the details, `working` with
//! code 202. They are written in today's form.
//!
//! ```
//! use watchcache::Status;
//! use watchcache::status::StatusReason;
//!
//! let status = Status::from_json(
//!     br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
//!          "message":"pods \"web-0\" not found","reason":"NotFound",
//!          "details":{"name":"web-0","kind":"pods"},"code":404}"#,
//! )?;
//! assert_eq!(*status.reason(), StatusReason::NotFound);
//! assert_eq!(status, Status::not_found("", "pods", "web-0"));
//! # Ok::<(), watchcache::status::StatusParseError>(())
//! ```
//!
//! [metav1.Status]: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#Status
//! [errors]: https://pkg.go.dev/k8s.io/apimachinery/pkg/api/errors

mod build;
mod cause;
mod change;
mod check;
mod details;
mod error;
mod http;
#[cfg(feature = "kube")]
mod kube;
mod outcome;
mod reason;
mod wire;

use std::fmt;
use std::time::Duration;

pub use cause::{CauseType, StatusCause};
pub use details::StatusDetails;
pub use error::{StatusError, StatusParseError};
pub use outcome::Outcome;
pub use reason::StatusReason;

use wire::{Metadata, WireStatus};

/// The result of an API request, as the server reports it.
///
/// With serde it is the API's own JSON. Reading accepts missing and unknown properties, but not an object
/// of another kind.
///
/// ```
/// use std::time::Duration;
/// use watchcache::{Status, StatusError};
///
/// let status = Status::too_many_requests(Duration::from_secs(2));
/// assert!(status.is_too_many_requests());
/// assert_eq!(status.code(), 429);
/// assert_eq!(status.retry_after(), Some(Duration::from_secs(2)));
///
/// let error: StatusError = status.into_result().unwrap_err();
/// assert!(error.to_string().contains("too many requests"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    outcome: Outcome,
    reason: StatusReason,
    message: String,
    details: Option<Box<StatusDetails>>,
    // 0 if the server sent none.
    code: u16,
    metadata: Metadata,
}

impl Status {
    /// Reads a status from JSON.
    ///
    /// # Errors
    ///
    /// If the bytes are not JSON of the right shape, or are an object of another kind.
    ///
    /// ```
    /// use watchcache::Status;
    ///
    /// let error = Status::from_json(br#"{"kind":"Pod","apiVersion":"v1"}"#).unwrap_err();
    /// assert!(error.to_string().starts_with("unexpected object"));
    /// ```
    pub fn from_json(json: &[u8]) -> Result<Self, StatusParseError> {
        WireStatus::from_json(json)?.try_into()
    }

    /// How the request ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Why the request did not succeed.
    #[must_use]
    pub fn reason(&self) -> &StatusReason {
        &self.reason
    }

    /// The message for humans; empty if the server sent none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status code: the one the server sent, else the one that goes with the outcome
    /// and the reason.
    #[must_use]
    pub fn code(&self) -> u16 {
        match (self.code, self.outcome) {
            (0, Outcome::Success) => 200,
            (0, Outcome::Working) => 202,
            (0, Outcome::Failure) => self.reason.code(),
            (code, _) => code,
        }
    }

    /// What the status is about, if the server said.
    #[must_use]
    pub fn details(&self) -> Option<&StatusDetails> {
        self.details.as_deref()
    }

    /// The individual problems behind the failure; empty if there are no details.
    #[must_use]
    pub fn causes(&self) -> &[StatusCause] {
        self.details().map_or(&[], StatusDetails::causes)
    }

    /// Returns whether one of the causes is of the given type.
    ///
    /// ```
    /// use std::time::Duration;
    /// use watchcache::Status;
    /// use watchcache::status::CauseType;
    ///
    /// // A timeout of a certain kind: the server is behind, and will catch up.
    /// let status = Status::resource_version_too_large(8, 7, Duration::from_secs(1));
    /// assert!(status.is_timeout() && status.has_cause(&CauseType::ResourceVersionTooLarge));
    /// assert!(!Status::timeout("too slow").has_cause(&CauseType::ResourceVersionTooLarge));
    /// ```
    #[must_use]
    pub fn has_cause(&self, cause: &CauseType) -> bool {
        self.causes().iter().any(|one| one.cause() == cause)
    }

    /// How long the server asks to wait before another try.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.details().and_then(StatusDetails::retry_after)
    }

    /// The resource version in the metadata.
    #[must_use]
    pub fn resource_version(&self) -> Option<&str> {
        non_empty(&self.metadata.resource_version)
    }

    /// The token to continue a list with. When a continue token has expired, the server sends a
    /// fresh one here, for a list that goes on but is no longer consistent.
    #[must_use]
    pub fn continue_token(&self) -> Option<&str> {
        non_empty(&self.metadata.continue_token)
    }

    /// How many items of the list are left, if the server counted them.
    #[must_use]
    pub fn remaining_item_count(&self) -> Option<i64> {
        self.metadata.remaining_item_count
    }

    /// Turns a failure into an error, and leaves success and work in progress as they are.
    ///
    /// # Errors
    ///
    /// If the status is a failure.
    ///
    /// ```
    /// use watchcache::Status;
    ///
    /// assert!(Status::success().into_result().is_ok());
    /// let error = Status::not_found("apps", "deployments", "web").into_result().unwrap_err();
    /// assert_eq!(error.to_string(), "deployments.apps \"web\" not found");
    /// ```
    pub fn into_result(self) -> Result<Self, StatusError> {
        if self.is_failure() { Err(self.into()) } else { Ok(self) }
    }
}

impl fmt::Display for Status {
    /// Prints the message, and where there is none the reason and the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message.as_str(), self.outcome) {
            ("", Outcome::Failure) => {
                write!(f, "the request failed: {} ({})", self.reason, self.code())
            }
            ("", Outcome::Success) => write!(f, "the request succeeded ({})", self.code()),
            ("", Outcome::Working) => {
                write!(f, "the request is being processed ({})", self.code())
            }
            (message, _) => f.write_str(message),
        }
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
