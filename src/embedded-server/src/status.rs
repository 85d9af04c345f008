//! Errors in the form the API gives them: the library's `Status`, as an HTTP answer.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use watchcache::Status;
use watchcache::reflector::protobuf;
use watchcache::status::{CauseType, StatusCause, StatusDetails, StatusReason};

use crate::encoding::Encoding;
use crate::resource::Definition;

/// A failed request, as the `Status` that tells the client why.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Box<Status>);

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure(Box::new(status))
    }
}

impl From<protobuf::Error> for Failure {
    /// Of an object that was to be written: what a client has stored the schema took, so this is a fault of
    /// the server's own.
    fn from(error: protobuf::Error) -> Failure {
        Status::internal(format!("the object cannot be written in protobuf: {error}")).into()
    }
}

impl Failure {
    /// A failure that was requested.
    pub(crate) fn injected(code: StatusCode) -> Failure {
        let code = code.as_u16();
        Status::failure(StatusReason::from_code(code), "this fault was asked for")
            .with_code(code)
            .into()
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Failure {
        Status::bad_request(message).into()
    }

    /// The list options contradict each other: the text of the real server's validation.
    pub(crate) fn invalid_options(field: &str, cause: CauseType, message: &str) -> Failure {
        let cause = StatusCause::new(cause, message).with_field(field);
        Status::invalid("meta.k8s.io", "ListOptions", "", [cause]).into()
    }

    pub(crate) fn invalid(
        definition: &Definition,
        name: &str,
        causes: Vec<StatusCause>,
    ) -> Failure {
        Status::invalid(&*definition.group, &*definition.kind, name, causes).into()
    }

    pub(crate) fn object_not_found(definition: &Definition, name: &str) -> Failure {
        Status::not_found(&*definition.group, &*definition.plural, name).into()
    }

    pub(crate) fn already_exists(definition: &Definition, name: &str) -> Failure {
        Status::already_exists(&*definition.group, &*definition.plural, name).into()
    }

    pub(crate) fn conflict(definition: &Definition, name: &str, why: &str) -> Failure {
        Status::conflict(&*definition.group, &*definition.plural, name, why).into()
    }

    /// The object is not the one that the request was made for.
    pub(crate) fn modified(definition: &Definition, name: &str) -> Failure {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Failure::conflict(definition, name, why)
    }

    pub(crate) fn forbidden(definition: &Definition, name: &str, why: &str) -> Failure {
        Status::forbidden(&*definition.group, &*definition.plural, name, why).into()
    }

    pub(crate) fn path_not_found() -> Failure {
        let message = "the server could not find the requested resource";
        Status::failure(StatusReason::NotFound, message)
            .with_details(StatusDetails::default())
            .into()
    }

    pub(crate) fn method_not_allowed() -> Failure {
        let message = "the server does not allow this method on the requested resource";
        Status::failure(StatusReason::MethodNotAllowed, message)
            .with_details(StatusDetails::default())
            .into()
    }

    pub(crate) fn not_acceptable(served: &str) -> Failure {
        let message = format!("only the following media types are accepted: {served}");
        Status::failure(StatusReason::NotAcceptable, message).into()
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Failure {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Status::failure(StatusReason::UnsupportedMediaType, message).into()
    }

    pub(crate) fn too_large(limit: usize) -> Failure {
        let message = format!("Request entity too large: limit is {limit}");
        Status::failure(StatusReason::RequestEntityTooLarge, message).into()
    }

    /// The client knows a version this server has not reached.
    pub(crate) fn version_too_large(asked: u64, current: u64) -> Failure {
        Status::resource_version_too_large(asked, current, Duration::from_secs(1)).into()
    }

    pub(crate) fn list_expired() -> Failure {
        Status::expired("The resourceVersion for the provided list is too old.").into()
    }

    /// `token` continues the list at the newest version instead of the expired one.
    pub(crate) fn continue_expired(token: &str) -> Failure {
        Status::expired(
            "The provided continue parameter is too old to display a consistent list result. \
             You can start a new list without the continue parameter, or use the continue token \
             in this response to retrieve the remainder of the results. Continuing with the \
             provided token results in an inconsistent list - objects that were created, \
             modified, or deleted between the time the first chunk was returned and now may \
             show up in the list.",
        )
        .with_continue_token(token)
        .into()
    }

    pub(crate) fn watch_expired(asked: u64, oldest: u64) -> Failure {
        Status::expired(format!("too old resource version: {asked} ({oldest})")).into()
    }

    pub(crate) fn status(&self) -> &Status {
        &self.0
    }

    /// As the answer to a request.
    pub(crate) fn response(&self, encoding: Encoding) -> Response {
        let code = StatusCode::from_u16(self.0.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status_response(code, &self.0, encoding);
        if let Some(delay) = self.0.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, delay.as_secs().into());
        }
        response
    }
}

/// A Status as an object.
pub(crate) fn status_object(status: &Status) -> Value {
    // Its fields are text and numbers: that is always JSON.
    serde_json::to_value(status).unwrap_or_default()
}

/// A Status as the answer.
pub(crate) fn status_response(code: StatusCode, status: &Status, encoding: Encoding) -> Response {
    let status = status_object(status);
    match encoding.write(&status) {
        Ok(body) => encoding.response(code, body),
        // No Status is of this kind; but one that fails to say so would be no answer.
        Err(_) => Encoding::Json.response(code, status.to_string()),
    }
}
