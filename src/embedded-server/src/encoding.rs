//! In what a body is written.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use watchcache::reflector::protobuf;

use crate::status::Failure;

/// One of the encodings that the API's clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Protobuf,
}

impl Encoding {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Encoding::Json => "application/json",
            Encoding::Protobuf => protobuf::MEDIA_TYPE,
        }
    }

    /// Writes an object that says its type.
    pub(crate) fn write(self, object: &Value) -> Result<Vec<u8>, Failure> {
        match self {
            Encoding::Json => Ok(object.to_string().into_bytes()),
            Encoding::Protobuf => Ok(protobuf::to_vec(object)?),
        }
    }

    /// The response whose body is this.
    pub(crate) fn response(self, code: StatusCode, body: impl Into<Body>) -> Response {
        (code, [(header::CONTENT_TYPE, self.media_type())], body.into()).into_response()
    }
}

/// A response whose body is JSON.
pub(crate) fn json_response(code: StatusCode, body: impl Into<Body>) -> Response {
    Encoding::Json.response(code, body)
}
