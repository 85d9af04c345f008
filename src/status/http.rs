//! HTTP answers that have no [`Status`], or one that says less than the HTTP code.

use std::fmt::Write;

use super::{CauseType, Status, StatusCause, StatusDetails, StatusReason};

pub(super) const TOO_MANY_REQUESTS: &str =
    "the server has received too many requests and has asked us to try again later";

impl Status {
    /// The meaning of an answer with a failure's HTTP code but no Status, such as a proxy's error page.
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
            // Without a Status, nothing says that work is in progress.
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

    /// Fills in what is missing from the HTTP code of the answer that the status came in: the code, and the
    /// reason that goes with it.
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
}

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
