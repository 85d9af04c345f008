//! Events in protobuf, each a frame.

use std::sync::Arc;

use serde_json::Value;

use crate::api::shown::Shown;
use crate::encoding::Encoding;
use crate::proto::write_event;
use crate::resource::Definition;
use crate::status::{Failure, status_object};
use crate::storage::{Entry, Storage};

/// Writes frames in the form the client asked for.
pub(super) struct Frames {
    pub(super) storage: Arc<Storage>,
    pub(super) definition: Arc<Definition>,
    pub(super) shown: Shown,
}

impl Frames {
    pub(super) fn event(
        &self,
        kind: &str,
        entry: &Arc<Entry>,
        version: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let message = self.storage.message(&self.definition, entry)?;
        self.shown.write_event(kind, &message, version, out);
        Ok(())
    }

    pub(super) fn bookmark(&self, metadata: &Value, out: &mut Vec<u8>) {
        // Every kind has the metadata of one: it can always be written.
        if let Ok(object) = self.shown.bookmark(metadata) {
            write_event("BOOKMARK", &object, out);
        }
    }

    pub(super) fn error(&self, failure: &Failure, out: &mut Vec<u8>) {
        // So can a Status.
        if let Ok(status) = Encoding::Protobuf.write(&status_object(failure.status())) {
            write_event("ERROR", &status, out);
        }
    }
}
