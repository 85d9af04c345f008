//! Events in what the client asked for.

use std::sync::Arc;

use axum::http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use super::frames::Frames;
use super::lines::Lines;
use crate::api::format::Accepted;
use crate::api::params::Params;
use crate::api::shown::Shown;
use crate::api::{Api, Target};
use crate::encoding::Encoding;
use crate::status::Failure;
use crate::storage::Entry;

pub(super) enum Writer {
    Lines(Lines),
    Frames(Frames),
}

impl Writer {
    pub(super) fn new(api: &Api, target: &Target, params: &Params, accepted: Accepted) -> Writer {
        let definition = Arc::clone(&target.definition);
        match accepted.encoding {
            Encoding::Json => {
                Writer::Lines(Lines::new(definition, accepted.format, params.include_object))
            }
            Encoding::Protobuf => Writer::Frames(Frames {
                storage: Arc::clone(&api.storage),
                shown: Shown::new(&definition, accepted.format),
                definition,
            }),
        }
    }

    /// The response that is still without a body.
    pub(super) fn response(&self) -> Response<()> {
        let media_type = match self {
            Writer::Lines(_) => "application/json",
            Writer::Frames(_) => "application/vnd.kubernetes.protobuf;stream=watch",
        };
        let mut response = Response::new(());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        response
    }

    /// An object's state as of `version`: a deletion shows the last one at its own.
    pub(super) fn event(
        &mut self,
        kind: &str,
        entry: &Arc<Entry>,
        version: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        match self {
            Writer::Lines(lines) => {
                lines.event(kind, entry, version, out);
                Ok(())
            }
            Writer::Frames(frames) => frames.event(kind, entry, version, out),
        }
    }

    pub(super) fn bookmark(&mut self, version: u64, initial_end: bool, out: &mut Vec<u8>) {
        let metadata = bookmark(version, initial_end);
        match self {
            Writer::Lines(lines) => lines.bookmark(&metadata, out),
            Writer::Frames(frames) => frames.bookmark(&metadata, out),
        }
    }

    pub(super) fn error(&self, failure: &Failure, out: &mut Vec<u8>) {
        match self {
            Writer::Lines(lines) => lines.error(failure, out),
            Writer::Frames(frames) => frames.error(failure, out),
        }
    }
}

/// The metadata of a bookmark.
fn bookmark(version: u64, initial_end: bool) -> Value {
    let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
    if initial_end {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    metadata
}
