//! Objects in protobuf, in the form that a client asks for.

use serde_json::{Value, json};

use crate::proto::{
    self, END, object_len, run_len, write_head, write_run, write_start, write_varint,
};
use crate::resource::Definition;
use crate::status::Failure;
use crate::storage::{Extent, Message};

use super::format::Format;

/// As what the objects of a resource are shown, and how much of them. A table is not shown in protobuf.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    api_version: String,
    kind: String,
    list_kind: String,
    extent: Extent,
}

impl Shown {
    pub(super) fn new(definition: &Definition, format: Format) -> Shown {
        match format {
            Format::Metadata => Shown {
                api_version: "meta.k8s.io/v1".to_owned(),
                kind: "PartialObjectMetadata".to_owned(),
                list_kind: "PartialObjectMetadataList".to_owned(),
                extent: Extent::Metadata,
            },
            Format::Object | Format::Table => Shown {
                api_version: definition.api_version(),
                kind: definition.kind.to_string(),
                list_kind: definition.list_kind.to_string(),
                extent: Extent::Whole,
            },
        }
    }

    /// An object that stands by itself, as of a version.
    pub(super) fn object(&self, message: &Message, version: u64) -> Vec<u8> {
        let len = message.len(version, self.extent);
        let mut out = Vec::with_capacity(object_len(&self.api_version, &self.kind, len));
        self.write_object(message, version, &mut out);
        out
    }

    fn write_object(&self, message: &Message, version: u64, out: &mut Vec<u8>) {
        let len = message.len(version, self.extent);
        write_start(&self.api_version, &self.kind, len, out);
        message.write(version, self.extent, out);
        out.extend_from_slice(END);
    }

    /// Writes an event of a watch.
    pub(super) fn write_event(
        &self,
        kind: &str,
        message: &Message,
        version: u64,
        out: &mut Vec<u8>,
    ) {
        let len = message.len(version, self.extent);
        proto::write_event_start(kind, object_len(&self.api_version, &self.kind, len), out);
        self.write_object(message, version, out);
    }

    /// An object that is only about to be encoded.
    pub(super) fn value(&self, mut object: Value) -> Result<Vec<u8>, Failure> {
        if self.extent == Extent::Metadata {
            object = json!({
                "kind": self.kind, "apiVersion": self.api_version,
                "metadata": object["metadata"].take(),
            });
        }
        Ok(watchcache::reflector::protobuf::to_vec(&object)?)
    }

    /// An object without content, that says a version.
    pub(super) fn bookmark(&self, metadata: &Value) -> Result<Vec<u8>, Failure> {
        let object =
            json!({"kind": self.kind, "apiVersion": self.api_version, "metadata": metadata});
        Ok(watchcache::reflector::protobuf::to_vec(&object)?)
    }

    /// Writes what stands before the items of a list, whose lengths these are. [`END`] follows them.
    pub(super) fn write_list_start(
        &self,
        metadata: &Value,
        items: impl Iterator<Item = usize>,
        out: &mut Vec<u8>,
    ) {
        let metadata = list_metadata(metadata);
        let len = run_len(metadata.len()) + items.map(run_len).sum::<usize>();
        write_start(&self.api_version, &self.list_kind, len, out);
        write_run(1, &metadata, out);
    }

    /// Writes an item of a list.
    pub(super) fn write_item(&self, message: &Message, version: u64, out: &mut Vec<u8>) {
        write_item_head(message.len(version, self.extent), out);
        message.write(version, self.extent, out);
    }

    /// The length of an item.
    pub(super) fn item_len(&self, message: &Message, version: u64) -> usize {
        message.len(version, self.extent)
    }

    /// A list of objects that are only about to be encoded.
    pub(super) fn list(&self, metadata: &Value, items: Vec<Value>) -> Result<Vec<u8>, Failure> {
        let items = items.into_iter().map(|item| self.value(item));
        let items: Vec<Vec<u8>> = items.collect::<Result<_, _>>()?;
        // Each was just encoded: it has a message.
        let messages = || items.iter().filter_map(|item| proto::message(item));
        let mut out = Vec::new();
        self.write_list_start(metadata, messages().map(<[u8]>::len), &mut out);
        for message in messages() {
            write_item_head(message.len(), &mut out);
            out.extend_from_slice(message);
        }
        out.extend_from_slice(END);
        Ok(out)
    }
}

fn write_item_head(len: usize, out: &mut Vec<u8>) {
    write_head(2, len, out);
}

/// A list's own metadata. Go leaves no text out.
fn list_metadata(metadata: &Value) -> Vec<u8> {
    let text = |name: &str| metadata[name].as_str().unwrap_or_default().as_bytes();
    let mut out = Vec::new();
    write_run(1, b"", &mut out);
    write_run(2, text("resourceVersion"), &mut out);
    write_run(3, text("continue"), &mut out);
    if let Some(remaining) = metadata["remainingItemCount"].as_u64() {
        write_varint(4 << 3, &mut out);
        write_varint(remaining, &mut out);
    }
    out
}
