//! Queries: what kind of answer a [`Status`] is.

use super::{Outcome, Status, StatusReason};

/// Queries, with client-go's rule: the reason decides, and the HTTP code counts only if the reason is
/// unknown.
impl Status {
    /// Returns whether the request succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.outcome == Outcome::Success
    }

    /// Returns whether the request failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.outcome == Outcome::Failure
    }

    /// Returns whether the request is still being processed, as servers of 2014 could say.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.outcome == Outcome::Working
    }

    /// Returns whether something the request needs does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.is(&StatusReason::NotFound)
    }

    /// Returns whether the object to create exists already.
    ///
    /// Only the reason counts: code 409 alone may also mean a conflict.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.reason == StatusReason::AlreadyExists
    }

    /// Returns whether the change clashes with the current state.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.is(&StatusReason::Conflict)
    }

    /// Returns whether the resource version or continue token is too old, so that the client has to list
    /// again: reason `Expired` or `Gone`, or code 410 without a known reason.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.is(&StatusReason::Expired) || self.is(&StatusReason::Gone)
    }

    /// Returns whether the object failed validation.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.is(&StatusReason::Invalid)
    }

    /// Returns whether the caller has to present credentials.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.is(&StatusReason::Unauthorized)
    }

    /// Returns whether the caller may not do this.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.is(&StatusReason::Forbidden)
    }

    /// Returns whether the request can never succeed as it is.
    #[must_use]
    pub fn is_bad_request(&self) -> bool {
        self.is(&StatusReason::BadRequest)
    }

    /// Returns whether the resource does not support the action.
    #[must_use]
    pub fn is_method_not_allowed(&self) -> bool {
        self.is(&StatusReason::MethodNotAllowed)
    }

    /// Returns whether the server can produce none of the accepted content types.
    #[must_use]
    pub fn is_not_acceptable(&self) -> bool {
        self.is(&StatusReason::NotAcceptable)
    }

    /// Returns whether the server cannot read the request's content type.
    #[must_use]
    pub fn is_unsupported_media_type(&self) -> bool {
        self.is(&StatusReason::UnsupportedMediaType)
    }

    /// Returns whether the request body is too large. As in client-go, code 413 counts with any reason.
    #[must_use]
    pub fn is_request_entity_too_large(&self) -> bool {
        self.reason == StatusReason::RequestEntityTooLarge || self.code == 413
    }

    /// Returns whether the caller should slow down. As in client-go, code 429 counts with any reason.
    #[must_use]
    pub fn is_too_many_requests(&self) -> bool {
        self.reason == StatusReason::TooManyRequests || self.code == 429
    }

    /// Returns whether the request ran out of time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.is(&StatusReason::Timeout)
    }

    /// Returns whether the server ran out of time and asks for a retry.
    ///
    /// Only the reason counts: no HTTP code is specific to it.
    #[must_use]
    pub fn is_server_timeout(&self) -> bool {
        self.reason == StatusReason::ServerTimeout
    }

    /// Returns whether something unexpected went wrong inside the server.
    #[must_use]
    pub fn is_internal_error(&self) -> bool {
        self.is(&StatusReason::InternalError)
    }

    /// Returns whether the service is unavailable at this time.
    #[must_use]
    pub fn is_service_unavailable(&self) -> bool {
        self.is(&StatusReason::ServiceUnavailable)
    }

    fn is(&self, reason: &StatusReason) -> bool {
        self.reason == *reason || (!self.reason.is_known() && self.code == reason.code())
    }
}
