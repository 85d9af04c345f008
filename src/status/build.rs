//! Making a [`Status`]: one constructor for each common answer, worded as the API server does.

use std::fmt::{self, Write};
use std::time::Duration;

use super::http::TOO_MANY_REQUESTS;
use super::wire::Metadata;
use super::{CauseType, Outcome, Status, StatusCause, StatusDetails, StatusReason};

/// Constructors. Where one takes `group`, `resource` and `name`, the group of the core API is
/// the empty string.
impl Status {
    /// The request succeeded.
    #[must_use]
    pub fn success() -> Self {
        Self::new(Outcome::Success, StatusReason::Unknown, String::new(), 0)
    }

    /// The request was accepted and is still being processed: code 202, as in 2014.
    #[must_use]
    pub fn working(message: impl Into<String>) -> Self {
        let reason = StatusReason::Working;
        let code = reason.code();
        Self::new(Outcome::Working, reason, message.into(), code)
    }

    /// The request failed, with the code that goes with the reason.
    ///
    /// ```
    /// use watchcache::Status;
    /// use watchcache::status::StatusReason;
    ///
    /// let status = Status::failure(StatusReason::StorageReadError, "data corrupt");
    /// assert_eq!(status.code(), 500);
    /// ```
    #[must_use]
    pub fn failure(reason: impl Into<StatusReason>, message: impl Into<String>) -> Self {
        let reason = reason.into();
        let code = reason.code();
        Self::new(Outcome::Failure, reason, message.into(), code)
    }

    /// The object does not exist: `pods "web-0" not found`.
    #[must_use]
    pub fn not_found(
        group: impl Into<String>,
        resource: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        let details = StatusDetails::new(group, resource, name);
        let message = format!("{} not found", Named(&details));
        Self::failure(StatusReason::NotFound, message).with_details(details)
    }

    /// The object to create exists: `pods "web-0" already exists`.
    #[must_use]
    pub fn already_exists(
        group: impl Into<String>,
        resource: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        let details = StatusDetails::new(group, resource, name);
        let message = format!("{} already exists", Named(&details));
        Self::failure(StatusReason::AlreadyExists, message).with_details(details)
    }

    /// The object has changed in the meantime:
    /// `Operation cannot be fulfilled on pods "web-0": <why>`.
    #[must_use]
    pub fn conflict(
        group: impl Into<String>,
        resource: impl Into<String>,
        name: impl Into<String>,
        why: impl fmt::Display,
    ) -> Self {
        let details = StatusDetails::new(group, resource, name);
        let message = format!("Operation cannot be fulfilled on {}: {why}", Named(&details));
        Self::failure(StatusReason::Conflict, message).with_details(details)
    }

    /// The caller may not do this: `pods "web-0" is forbidden: <why>`.
    #[must_use]
    pub fn forbidden(
        group: impl Into<String>,
        resource: impl Into<String>,
        name: impl Into<String>,
        why: impl fmt::Display,
    ) -> Self {
        let details = StatusDetails::new(group, resource, name);
        let message = if details.kind().is_empty() {
            format!("forbidden: {why}")
        } else if details.name().is_empty() {
            format!("{} is forbidden: {why}", details.qualified_kind())
        } else {
            format!("{} is forbidden: {why}", Named(&details))
        };
        Self::failure(StatusReason::Forbidden, message).with_details(details)
    }

    /// The object failed validation; each cause should name a field.
    ///
    /// ```
    /// use watchcache::Status;
    /// use watchcache::status::{CauseType, StatusCause};
    ///
    /// let missing = StatusCause::new(CauseType::FieldValueRequired, "Required value")
    ///     .with_field("spec.containers");
    /// let status = Status::invalid("", "Pod", "web-0", [missing]);
    /// assert_eq!(
    ///     status.message(),
    ///     r#"Pod "web-0" is invalid: spec.containers: Required value"#
    /// );
    /// ```
    #[must_use]
    pub fn invalid(
        group: impl Into<String>,
        kind: impl Into<String>,
        name: impl Into<String>,
        causes: impl IntoIterator<Item = StatusCause>,
    ) -> Self {
        let details = StatusDetails::new(group, kind, name).with_causes(causes);
        let mut message = format!("{} is invalid", Named(&details));
        let causes: Vec<_> = details.causes().iter().map(ToString::to_string).collect();
        match causes.as_slice() {
            [] => {}
            [one] => {
                message.push_str(": ");
                message.push_str(one);
            }
            many => {
                // A write to a String cannot fail.
                let _ = write!(message, ": [{}]", many.join(", "));
            }
        }
        Self::failure(StatusReason::Invalid, message).with_details(details)
    }

    /// The resource version or continue token is too old.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::failure(StatusReason::Expired, message)
    }

    /// The content is no longer available; [`expired`](Self::expired) is the modern answer.
    #[must_use]
    pub fn gone(message: impl Into<String>) -> Self {
        Self::failure(StatusReason::Gone, message)
    }

    /// The request is malformed.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(StatusReason::BadRequest, message)
    }

    /// The caller has to present credentials.
    #[must_use]
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::failure(StatusReason::Unauthorized, message)
    }

    /// The resource does not support the action:
    /// `delete is not supported on resources of kind "bindings"`.
    #[must_use]
    pub fn method_not_allowed(
        action: impl fmt::Display,
        group: impl Into<String>,
        resource: impl Into<String>,
    ) -> Self {
        let details = StatusDetails::new(group, resource, "");
        let kind = details.qualified_kind();
        let message = format!("{action} is not supported on resources of kind {kind:?}");
        Self::failure(StatusReason::MethodNotAllowed, message).with_details(details)
    }

    /// The caller should slow down and come back after the delay.
    #[must_use]
    pub fn too_many_requests(retry_after: Duration) -> Self {
        let reason = StatusReason::TooManyRequests;
        Self::failure(reason, TOO_MANY_REQUESTS).with_retry_after(retry_after)
    }

    /// The request ran out of time: `Timeout: <message>`.
    #[must_use]
    pub fn timeout(message: impl fmt::Display) -> Self {
        Self::failure(StatusReason::Timeout, format!("Timeout: {message}"))
    }

    /// The server ran out of time and the request may be retried after the delay.
    #[must_use]
    pub fn server_timeout(
        action: impl fmt::Display,
        group: impl Into<String>,
        resource: impl Into<String>,
        retry_after: Duration,
    ) -> Self {
        let details = StatusDetails::new(group, resource, "").with_retry_after(retry_after);
        let message = format!(
            "The {action} operation against {} could not be completed at this time, please try again.",
            details.qualified_kind()
        );
        Self::failure(StatusReason::ServerTimeout, message).with_details(details)
    }

    /// The resource version asked for is newer than any the server has, and may come to exist
    /// after the delay.
    #[must_use]
    pub fn resource_version_too_large(
        requested: impl fmt::Display,
        current: impl fmt::Display,
        retry_after: Duration,
    ) -> Self {
        Self::timeout(format_args!("Too large resource version: {requested}, current: {current}"))
            .with_retry_after(retry_after)
            .with_cause(StatusCause::new(
                CauseType::ResourceVersionTooLarge,
                "Too large resource version",
            ))
    }

    /// Something went wrong unexpectedly: `Internal error occurred: <error>`, with the error as the cause.
    #[must_use]
    pub fn internal(error: impl fmt::Display) -> Self {
        let error = error.to_string();
        let message = format!("Internal error occurred: {error}");
        Self::failure(StatusReason::InternalError, message)
            .with_cause(StatusCause::new(CauseType::Unknown, error))
    }

    /// The service is unavailable at this time.
    #[must_use]
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::failure(StatusReason::ServiceUnavailable, message)
    }

    fn new(outcome: Outcome, reason: StatusReason, message: String, code: u16) -> Self {
        Self { outcome, reason, message, details: None, code, metadata: Metadata::default() }
    }
}

struct Named<'a>(&'a StatusDetails);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.0.qualified_kind(), self.0.name())
    }
}
