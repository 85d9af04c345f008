//! Making a [`Status`]: one constructor for each common answer, worded as the API server does.

use std::fmt::{self, Write};
use std::time::Duration;

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

    /// The request makes no sense.
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

    /// Something unexpected went wrong: `Internal error occurred: <error>`, with the error as
    /// the cause.
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

    /// What an answer means that has a failure's HTTP code but no Status in it, such as a
    /// proxy's error page.
    ///
    /// This follows `NewGenericServerResponse` of [apimachinery]: the reason comes from the
    /// code, except that 409 to a POST is `AlreadyExists`; `what` names the resource and may
    /// carry the `Retry-After` delay; and the body becomes an `UnexpectedServerResponse` cause.
    ///
    /// ```
    /// use watchcache::Status;
    /// use watchcache::status::{StatusDetails, StatusReason};
    ///
    /// let pods = StatusDetails::new("", "pods", "");
    /// let status = Status::from_http_code(502, "GET", pods, "Bad Gateway");
    /// assert_eq!(*status.reason(), StatusReason::InternalError);
    /// assert_eq!(
    ///     status.message(),
    ///     r#"an error on the server ("Bad Gateway") has prevented the request from succeeding (get pods)"#
    /// );
    /// ```
    ///
    /// [apimachinery]: https://pkg.go.dev/k8s.io/apimachinery/pkg/api/errors#NewGenericServerResponse
    #[must_use]
    pub fn from_http_code(code: u16, method: &str, what: StatusDetails, body: &str) -> Self {
        let reason = match StatusReason::from_code(code) {
            StatusReason::Conflict if method.eq_ignore_ascii_case("POST") => {
                StatusReason::AlreadyExists
            }
            // An answer that carries no Status says nothing of work in progress.
            StatusReason::Working => StatusReason::Unknown,
            reason => reason,
        };
        let mut message = generic_message(&reason, code, body);
        let kind = what.qualified_kind();
        if !kind.is_empty() {
            let method = method.to_ascii_lowercase();
            let space = if what.name().is_empty() { "" } else { " " };
            // A write to a String cannot fail.
            let _ = write!(message, " ({method} {kind}{space}{})", what.name());
        }
        let cause = StatusCause::new(CauseType::UnexpectedServerResponse, body);
        Self::failure(reason, message).with_code(code).with_details(what.with_cause(cause))
    }

    fn new(outcome: Outcome, reason: StatusReason, message: String, code: u16) -> Self {
        Self { outcome, reason, message, details: None, code, metadata: Metadata::default() }
    }
}

/// Changes to a status, each returning it.
impl Status {
    /// Replaces the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Replaces the HTTP code.
    #[must_use]
    pub fn with_code(mut self, code: u16) -> Self {
        self.code = code;
        self
    }

    /// As part of an answer with this code: it counts where the status has none, and so does what it
    /// means where there is no reason either.
    #[cfg(feature = "kube")]
    pub(crate) fn or_code(mut self, code: u16) -> Self {
        if self.code == 0 {
            self.code = code;
        }
        if self.reason == StatusReason::Unknown {
            self.reason = StatusReason::from_code(self.code);
        }
        self
    }

    /// Replaces the details.
    #[must_use]
    pub fn with_details(mut self, details: StatusDetails) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Adds a cause to the details.
    #[must_use]
    pub fn with_cause(self, cause: StatusCause) -> Self {
        self.map_details(|details| details.with_cause(cause))
    }

    /// Says how long to wait before another try, in whole seconds rounded up.
    #[must_use]
    pub fn with_retry_after(self, delay: Duration) -> Self {
        self.map_details(|details| details.with_retry_after(delay))
    }

    /// Sets the resource version of the metadata.
    #[must_use]
    pub fn with_resource_version(mut self, version: impl Into<String>) -> Self {
        self.metadata.resource_version = version.into();
        self
    }

    /// Sets the token to continue a list with.
    #[must_use]
    pub fn with_continue_token(mut self, token: impl Into<String>) -> Self {
        self.metadata.continue_token = token.into();
        self
    }

    /// Sets the count of items that a list has left.
    #[must_use]
    pub fn with_remaining_item_count(mut self, count: i64) -> Self {
        self.metadata.remaining_item_count = Some(count);
        self
    }

    fn map_details(mut self, change: impl FnOnce(StatusDetails) -> StatusDetails) -> Self {
        let details = self.details.take().map_or_else(Default::default, |old| *old);
        self.with_details(change(details))
    }
}

const TOO_MANY_REQUESTS: &str =
    "the server has received too many requests and has asked us to try again later";

fn generic_message(reason: &StatusReason, code: u16, body: &str) -> String {
    let text = match reason {
        StatusReason::Conflict | StatusReason::AlreadyExists => "the server reported a conflict",
        StatusReason::NotFound => "the server could not find the requested resource",
        StatusReason::BadRequest => "the server rejected our request for an unknown reason",
        StatusReason::Unauthorized => "the server has asked for the client to provide credentials",
        StatusReason::MethodNotAllowed => {
            "the server does not allow this method on the requested resource"
        }
        StatusReason::Invalid => "the server rejected our request due to an error in our request",
        StatusReason::ServiceUnavailable => "the server is currently unable to handle the request",
        StatusReason::Timeout => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
        }
        StatusReason::TooManyRequests => TOO_MANY_REQUESTS,
        // The server's own words say who may not do what, or which content types would do.
        StatusReason::Forbidden
        | StatusReason::NotAcceptable
        | StatusReason::UnsupportedMediaType
            if !body.is_empty() =>
        {
            body
        }
        StatusReason::InternalError => {
            return format!(
                "an error on the server ({body:?}) has prevented the request from succeeding"
            );
        }
        _ => {
            return format!(
                "the server responded with the status code {code} but did not return more information"
            );
        }
    };
    text.to_owned()
}

struct Named<'a>(&'a StatusDetails);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.0.qualified_kind(), self.0.name())
    }
}
