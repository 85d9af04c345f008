//! The bodies of requests.

use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use serde_json::Value;
use watchcache::reflector::protobuf;

use super::format::media_types;
use super::path::Target;
use crate::patch::Patch;
use crate::proto::with_type;
use crate::status::Failure;

/// The largest body of a request, as for the real server.
const LIMIT: usize = 3 << 20;

/// The declared type of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    Json,
    Protobuf,
    JsonPatch,
    MergePatch,
    StrategicMergePatch,
    ApplyPatch,
}

/// A whole body.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Vec<u8>,
    media_type: Option<MediaType>,
}

/// Reads a body to its end.
pub(super) async fn read(body: Body, headers: &HeaderMap) -> Result<Content, Failure> {
    let bytes =
        axum::body::to_bytes(body, LIMIT).await.map_err(|_| Failure::too_large(LIMIT))?.to_vec();
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok(Content { bytes, media_type: MediaType::of(media_type) })
}

impl MediaType {
    /// JSON by default; `None` for a type that is not supported.
    fn of(content_type: Option<&str>) -> Option<MediaType> {
        let named = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        Some(match named.to_ascii_lowercase().as_str() {
            "" | "application/json" => MediaType::Json,
            protobuf::MEDIA_TYPE => MediaType::Protobuf,
            "application/json-patch+json" => MediaType::JsonPatch,
            "application/merge-patch+json" => MediaType::MergePatch,
            "application/strategic-merge-patch+json" => MediaType::StrategicMergePatch,
            // JSON is YAML, too, and clients write no other.
            "application/apply-patch+yaml" | "application/apply-patch+json" => {
                MediaType::ApplyPatch
            }
            _ => return None,
        })
    }
}

/// A change that a PATCH asks for.
#[derive(Debug)]
pub(super) enum Change {
    Patch(Patch),
    Apply(Value),
}

impl Content {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The object in the body, of the kind that the request is about.
    pub(super) fn object(&self, target: &Target) -> Result<Value, Failure> {
        let (api_version, kind) = target.of_type();
        self.of_type(target.has_schema(), (&api_version, kind))
    }

    /// The object in the body, of a kind with or without a schema. In JSON it may say no type.
    pub(super) fn of_type(&self, has_schema: bool, of: (&str, &str)) -> Result<Value, Failure> {
        match self.media_type {
            Some(MediaType::Json) => self.parse(),
            Some(MediaType::Protobuf) if has_schema => {
                protobuf::from_slice(&with_type(&self.bytes, of)).map_err(unreadable)
            }
            _ => Err(Failure::unsupported_media_type(media_types(has_schema))),
        }
    }

    /// The patch in the body.
    pub(super) fn change(&self, is_custom: bool) -> Result<Change, Failure> {
        Ok(match self.media_type {
            Some(MediaType::JsonPatch) => Change::Patch(Patch::Json(self.parse()?)),
            Some(MediaType::MergePatch) => Change::Patch(Patch::Merge(self.parse()?)),
            // It follows the types of the API, and custom resources have none.
            Some(MediaType::StrategicMergePatch) if !is_custom => {
                Change::Patch(Patch::Strategic(self.parse()?))
            }
            Some(MediaType::ApplyPatch) => Change::Apply(self.parse()?),
            _ => {
                return Err(Failure::unsupported_media_type(
                    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
                ));
            }
        })
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.bytes).map_err(unreadable)
    }
}

fn unreadable(error: impl Display) -> Failure {
    Failure::bad_request(format!("couldn't read the body: {error}"))
}
