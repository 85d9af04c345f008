//! One version of one object in protobuf: encoded once, then only copied.

use serde_json::{Value, json};
use watchcache::reflector::protobuf;

use super::packed::Packed;
use crate::object::metadata;
use crate::proto::{self, run_len, take_run, write_head, write_run};
use crate::resource::Definition;

/// The numbers of fields, and the field of a version that is empty.
const METADATA: u32 = 1;
const RESOURCE_VERSION: u32 = 6;
const NO_VERSION: &[u8] = &[(RESOURCE_VERSION as u8) << 3 | 2, 0];

/// How much of an object is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// What a PartialObjectMetadata has.
    Metadata,
}

/// An object's message, without its resourceVersion: a DELETED event carries the last state at the version
/// of the deletion. Of a custom resource, which has no schema, the message has the metadata alone.
#[derive(Debug)]
pub(crate) struct Message {
    /// How much of the metadata stands before the version, and how much there is without it.
    before: u32,
    metadata: u32,
    /// The metadata's fields, then all others.
    packed: Packed,
}

impl Message {
    pub(crate) fn new(
        definition: &Definition,
        mut object: Value,
    ) -> Result<Message, protobuf::Error> {
        if definition.is_custom() {
            object = json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"].take(),
            });
        }
        metadata(&mut object).remove("resourceVersion");
        let bytes = protobuf::to_vec(&object)?;
        Ok(Message::of(&bytes, definition).unwrap_or_else(|| unreachable!("it was just written")))
    }

    /// Takes an object apart that has no version.
    fn of(bytes: &[u8], definition: &Definition) -> Option<Message> {
        let mut fields = proto::message(bytes)?;
        let (_, metadata) = take_run(&mut fields)?;
        let mut rest = metadata;
        while !rest.starts_with(NO_VERSION) {
            take_run(&mut rest)?;
        }
        let (before, _) = metadata.split_at(metadata.len() - rest.len());
        let behind = rest.strip_prefix(NO_VERSION)?;
        Some(Message {
            before: u32::try_from(before.len()).ok()?,
            metadata: u32::try_from(before.len() + behind.len()).ok()?,
            packed: definition.messages.pack(&[before, behind, fields].concat()),
        })
    }

    /// How long it is, as of a version.
    pub(crate) fn len(&self, version: u64, extent: Extent) -> usize {
        let metadata = run_len(self.metadata_len(version));
        match extent {
            Extent::Metadata => metadata,
            Extent::Whole => metadata + self.packed.len() - self.metadata as usize,
        }
    }

    fn metadata_len(&self, version: u64) -> usize {
        self.metadata as usize + run_len(version.to_string().len())
    }

    /// Writes it, as of a version.
    pub(crate) fn write(&self, version: u64, extent: Extent, out: &mut Vec<u8>) {
        self.packed.with(|fields| {
            let (metadata, others) = fields.split_at(self.metadata as usize);
            let (before, behind) = metadata.split_at(self.before as usize);
            write_head(METADATA, self.metadata_len(version), out);
            out.extend_from_slice(before);
            write_run(RESOURCE_VERSION, version.to_string().as_bytes(), out);
            out.extend_from_slice(behind);
            if extent == Extent::Whole {
                out.extend_from_slice(others);
            }
        });
    }

    /// Its approximate size in memory.
    pub(crate) fn bytes(&self) -> usize {
        const OVERHEAD: usize = size_of::<Message>() + 32;
        OVERHEAD + self.packed.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{self, CONFIG_MAPS};

    fn object() -> Value {
        json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {
                "name": "a", "namespace": "b", "uid": "u", "resourceVersion": "1234",
                "generation": 7, "labels": {"app": "web"}, "creationTimestamp": "2026-11-26T23:13:21Z",
            },
            "data": {"key": "2\u{0}"},
        })
    }

    #[test]
    fn only_the_version_differs() {
        let definition = &resource::builtins()[CONFIG_MAPS.0];
        let stored = Message::new(definition, object()).expect("a ConfigMap");
        for version in [1, 1234, u64::MAX] {
            let mut expected = object();
            expected["metadata"]["resourceVersion"] = version.to_string().into();
            let expected = protobuf::to_vec(&expected).expect("a ConfigMap");
            let expected = proto::message(&expected).expect("a message");
            let mut out = b"before".to_vec();
            stored.write(version, Extent::Whole, &mut out);
            assert_eq!(&out[6..], expected);
            assert_eq!(stored.len(version, Extent::Whole), expected.len());

            let metadata = take_run(&mut &*expected).expect("metadata").1;
            out.clear();
            stored.write(version, Extent::Metadata, &mut out);
            assert_eq!(take_run(&mut &*out), Some((1, metadata)));
            assert_eq!(stored.len(version, Extent::Metadata), out.len());
        }
    }
}
