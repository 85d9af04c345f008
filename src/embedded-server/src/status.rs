//! Errors in the form the API gives them: a `Status` object with an HTTP code.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::resource::Description;

/// A failed request, as the `Status` object that tells the client why.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    code: StatusCode,
    body: Value,
}

impl Failure {
    fn new(code: StatusCode, reason: &str, message: impl Into<String>) -> Failure {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message.into(), "reason": reason, "code": code.as_u16(),
        });
        Failure { code, body }
    }

    fn with(mut self, field: &str, value: Value) -> Failure {
        self.body[field] = value;
        self
    }

    /// A failure that somebody asked for.
    pub(crate) fn injected(code: StatusCode) -> Failure {
        let reason = match code.as_u16() {
            410 => "Expired",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
        Failure::new(code, reason, "this fault was asked for")
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// The list options contradict each other: what the real server's validation says.
    pub(crate) fn invalid_options(field: &str, reason: &str, message: &str) -> Failure {
        Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: {message}"),
        )
        .with(
            "details",
            json!({
                "group": "meta.k8s.io", "kind": "ListOptions",
                "causes": [{"reason": reason, "message": message, "field": field}],
            }),
        )
    }

    pub(crate) fn object_not_found(resource: &Description, name: &str) -> Failure {
        let mut details = json!({"name": name, "kind": resource.plural});
        if !resource.group.is_empty() {
            details["group"] = resource.group.into();
        }
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Failure::new(StatusCode::NOT_FOUND, "NotFound", message).with("details", details)
    }

    pub(crate) fn path_not_found() -> Failure {
        let message = "the server could not find the requested resource";
        Failure::new(StatusCode::NOT_FOUND, "NotFound", message).with("details", json!({}))
    }

    pub(crate) fn method_not_allowed() -> Failure {
        let message = "the server does not allow this method on the requested resource";
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
            .with("details", json!({}))
    }

    pub(crate) fn not_acceptable() -> Failure {
        let message = "only the following media types are accepted: application/json";
        Failure::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// The client knows a version this server has not reached.
    pub(crate) fn version_too_large(asked: u64, current: u64) -> Failure {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Failure::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message).with(
            "details",
            json!({
                "causes": [{
                    "reason": "ResourceVersionTooLarge",
                    "message": "Too large resource version",
                }],
                "retryAfterSeconds": 1,
            }),
        )
    }

    fn expired(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::GONE, "Expired", message)
    }

    pub(crate) fn list_expired() -> Failure {
        Failure::expired("The resourceVersion for the provided list is too old.")
    }

    /// `token` continues the list at the newest version instead of the expired one.
    pub(crate) fn continue_expired(token: &str) -> Failure {
        Failure::expired(
            "The provided continue parameter is too old to display a consistent list result. \
             You can start a new list without the continue parameter, or use the continue token \
             in this response to retrieve the remainder of the results. Continuing with the \
             provided token results in an inconsistent list - objects that were created, \
             modified, or deleted between the time the first chunk was returned and now may \
             show up in the list.",
        )
        .with("metadata", json!({"continue": token}))
    }

    pub(crate) fn watch_expired(asked: u64, oldest: u64) -> Failure {
        Failure::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// The Status object, for an ERROR event within a watch.
    pub(crate) fn body(&self) -> &Value {
        &self.body
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let retry = self.body.pointer("/details/retryAfterSeconds").and_then(Value::as_u64);
        let mut response = json_response(self.code, self.body.to_string());
        if let Some(seconds) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A response whose body is JSON.
pub(crate) fn json_response(code: StatusCode, body: impl Into<Body>) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}
