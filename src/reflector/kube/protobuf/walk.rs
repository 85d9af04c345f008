//! What is read of an object without decoding the rest.

use std::ops::Range;

use super::error::{Error, Fault, Result};
use super::wire::{self, Reader, Texts, Value, head_len, write_head};
use crate::KeyRef;

/// The numbers of fields. Every object has its metadata in the same place; the schema's generator sees
/// to it.
const METADATA: u32 = 1;
const NAME: u32 = 1;
const NAMESPACE: u32 = 3;
const UID: u32 = 5;
const RESOURCE_VERSION: u32 = 6;
const LABELS: u32 = 11;
const MANAGED_FIELDS: u32 = 17;

/// A bit for each that is read.
const READ: u32 = 1 << NAME
    | 1 << NAMESPACE
    | 1 << UID
    | 1 << RESOURCE_VERSION
    | 1 << LABELS
    | 1 << MANAGED_FIELDS;

/// As who decodes the object says it.
#[cold]
fn twice(number: u32) -> Error {
    let field = match number {
        NAME => "name",
        NAMESPACE => "namespace",
        UID => "uid",
        RESOURCE_VERSION => "resourceVersion",
        LABELS => "labels",
        _ => "managedFields",
    };
    Error::from(Fault::Twice).within(field).within("metadata")
}

/// An object's metadata; what is not there is empty.
#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
    resource_version: &'a str,
    parts: Parts<'a>,
}

/// The parts of a header, as bytes.
#[derive(Clone, Debug, Default)]
struct Parts<'a> {
    namespace: &'a [u8],
    name: &'a [u8],
    uid: &'a [u8],
    resource_version: &'a [u8],
    /// The number of the last field of the metadata that was read.
    last: u32,
    metadata: &'a [u8],
    /// Where the field of the metadata lies in the object.
    field: Range<usize>,
    /// Where in the metadata the field of the version ends: as a rule the other texts come before it.
    texts_end: usize,
    /// Where in the metadata the fields of the labels lie, and the managed fields.
    labels: Range<usize>,
    managed_fields: Range<usize>,
}

impl<'a> Parts<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<()> {
        let mut rest = Reader::new(message);
        let start = loop {
            let start = rest.offset_in(message);
            match rest.next()? {
                Some((METADATA, value)) => {
                    self.metadata = value.bytes()?;
                    break start;
                }
                Some(_) => {}
                None => return Ok(()),
            }
        };
        self.field = start..rest.offset_in(message);
        self.read_metadata()?;
        // What else is wrong behind it is told by who decodes the object.
        while let Ok(Some((number, _))) = rest.next() {
            if number == METADATA {
                return Err(Error::from(Fault::Twice).within("metadata"));
            }
        }
        Ok(())
    }

    fn read_metadata(&mut self) -> Result<()> {
        let mut rest = Reader::new(self.metadata);
        let mut seen = 0_u32;
        loop {
            let start = rest.offset_in(self.metadata);
            let Some((number, value)) = rest.next()? else { return Ok(()) };
            let end = rest.offset_in(self.metadata);
            let goes_on = number == self.last && matches!(number, LABELS | MANAGED_FIELDS);
            let bit = READ & 1_u32.checked_shl(number).unwrap_or(0);
            if seen & bit != 0 && !goes_on {
                return Err(twice(number));
            }
            seen |= bit;
            match number {
                NAME => self.name = value.bytes()?,
                NAMESPACE => self.namespace = value.bytes()?,
                UID => self.uid = value.bytes()?,
                RESOURCE_VERSION => {
                    (self.resource_version, self.texts_end) = (value.bytes()?, end);
                }
                LABELS if goes_on => self.labels.end = end,
                LABELS => self.labels = start..end,
                MANAGED_FIELDS if goes_on => self.managed_fields.end = end,
                MANAGED_FIELDS => self.managed_fields = start..end,
                _ => {}
            }
            self.last = number;
        }
    }
}

impl<'a> Header<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Result<Self> {
        let mut parts = Parts::default();
        parts.read(message)?;
        let texts = Texts::within(parts.metadata.get(..parts.texts_end).unwrap_or_default());
        Ok(Self {
            namespace: texts.text(parts.namespace)?,
            name: texts.text(parts.name)?,
            uid: texts.text(parts.uid)?,
            resource_version: texts.text(parts.resource_version)?,
            parts,
        })
    }

    /// The header as far as it can be read. It has a name only if what would say the namespace was
    /// passed: fields come in the order of their numbers, and a name by itself is another object's. Where a
    /// field is there twice, nobody knows whose name it is.
    pub(crate) fn of_damaged(message: &'a [u8]) -> Self {
        let mut parts = Parts::default();
        // What is wrong is told by who decodes the object.
        let read = parts.read(message);
        let text = |part| std::str::from_utf8(part).unwrap_or_default();
        let namespace = std::str::from_utf8(parts.namespace);
        let is_lost = namespace.is_err()
            || read.is_err_and(|error| parts.last < NAMESPACE || *error.fault() == Fault::Twice);
        Self {
            namespace: namespace.unwrap_or_default(),
            name: if is_lost { "" } else { text(parts.name) },
            uid: text(parts.uid),
            resource_version: text(parts.resource_version),
            parts,
        }
    }

    pub(crate) fn key(&self) -> KeyRef<'a> {
        (self.namespace, self.name).into()
    }

    pub(crate) fn uid(&self) -> Option<&'a str> {
        Some(self.uid).filter(|uid| !uid.is_empty())
    }

    pub(crate) fn resource_version(&self) -> Option<&'a str> {
        Some(self.resource_version).filter(|version| !version.is_empty())
    }

    /// The labels as [`labels`] reads them.
    pub(crate) fn labels(&self) -> &'a [u8] {
        self.parts.metadata.get(self.parts.labels.clone()).unwrap_or_default()
    }

    /// The object without managed fields.
    pub(crate) fn without_managed_fields(&self, message: &[u8]) -> Box<[u8]> {
        let Parts { field, metadata, managed_fields: gone, .. } = &self.parts;
        if gone.is_empty() {
            return message.into();
        }
        // These are ranges of this very message.
        let part = |range: Range<usize>| message.get(range).unwrap_or_default();
        let start = self.metadata_start();
        let mut pruned = Vec::with_capacity(message.len() - gone.len() - self.shorter_head());
        pruned.extend_from_slice(part(0..field.start));
        write_head(METADATA, metadata.len() - gone.len(), &mut pruned);
        pruned.extend_from_slice(part(start..start + gone.start));
        pruned.extend_from_slice(part(start + gone.end..message.len()));
        pruned.into_boxed_slice()
    }

    /// Where a part of the metadata that begins here in the object begins without managed fields.
    pub(crate) fn without_managed_fields_at(&self, start: usize) -> usize {
        let gone = &self.parts.managed_fields;
        if gone.is_empty() {
            return start;
        }
        let behind = start >= self.metadata_start() + gone.end;
        start - self.shorter_head() - if behind { gone.len() } else { 0 }
    }

    fn metadata_start(&self) -> usize {
        self.parts.field.end - self.parts.metadata.len()
    }

    /// By how much what stands before the metadata is shorter without managed fields.
    fn shorter_head(&self) -> usize {
        let head = self.metadata_start() - self.parts.field.start;
        head - head_len(METADATA, self.parts.metadata.len() - self.parts.managed_fields.len())
    }
}

/// Names and values of labels, in the order of the wire.
pub(crate) fn labels<'a>(fields: &'a [u8]) -> impl Iterator<Item = Result<(&'a str, &'a str)>> {
    let texts = Texts::within(fields);
    let mut rest = Reader::new(fields);
    std::iter::from_fn(move || rest.next().transpose()).map(move |entry| {
        let [name, value] = wire::fields(entry?.1.bytes()?)?;
        let text = |part: Option<Value<'a>>| part.map_or(Ok(""), |part| texts.text(part.bytes()?));
        Ok((text(name)?, text(value)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reflector::kube::protobuf::envelope::Envelope;
    use crate::reflector::kube::protobuf::tests::{all, field, object};
    use serde_json::Value as Json;

    #[test]
    fn a_header_is_what_json_says() {
        for vector in all() {
            let envelope = Envelope::open(&vector.wire).expect("an object");
            let json: Json = serde_json::from_str(vector.json).expect("JSON");
            if envelope.of.kind == "Status" {
                continue;
            }
            let header = Header::of(envelope.message).expect("an object");
            let metadata = &json["metadata"];
            let key = KeyRef::from((
                metadata["namespace"].as_str().unwrap_or_default(),
                metadata["name"].as_str().unwrap_or_default(),
            ));
            assert_eq!(header.key(), key);
            assert_eq!(header.uid(), metadata["uid"].as_str());
            assert_eq!(header.resource_version(), metadata["resourceVersion"].as_str());
            let labels = labels(header.labels()).map(|label| label.expect("texts"));
            let labels: serde_json::Map<_, _> =
                labels.map(|(name, value)| (name.to_owned(), value.into())).collect();
            assert_eq!(&labels, metadata["labels"].as_object().unwrap_or(&Default::default()));
        }
    }

    #[test]
    fn without_managed_fields_an_object_is_the_same_but_for_them() {
        for vector in all() {
            let Envelope { of, message } = Envelope::open(&vector.wire).expect("an object");
            if of.kind == "Status" {
                continue;
            }
            let pruned = Header::of(message).expect("an object").without_managed_fields(message);
            let decode = |message: &[u8]| -> Json {
                let bytes = object(of.api_version, of.kind, message);
                super::super::from_slice(&bytes).expect("an object")
            };
            let mut expected = decode(message);
            let metadata = expected["metadata"].as_object_mut().expect("there");
            let removed = metadata.remove("managedFields");
            assert_eq!(removed.is_some(), pruned.len() < message.len());
            assert_eq!(decode(&pruned), expected);
        }
    }

    #[test]
    fn a_field_twice_is_the_same_error_as_of_who_decodes_it() {
        let name = field(1, b"a");
        let label = || field(11, &[field(1, b"app"), field(2, b"web")].concat());
        let once = [name.clone(), field(3, b"b"), label(), label()].concat();
        assert!(Header::of(&field(1, &once)).is_ok(), "a list has several");
        for (message, path) in [
            ([field(1, &name), field(1, &name)].concat(), "metadata"),
            ([field(1, &name), field(2, b""), field(1, &name)].concat(), "metadata"),
            (field(1, &[name.clone(), name.clone()].concat()), "metadata.name"),
            (
                field(1, &[name.clone(), field(3, b"b"), field(3, b"c")].concat()),
                "metadata.namespace",
            ),
            (field(1, &[label(), name.clone(), label()].concat()), "metadata.labels"),
        ] {
            let error = Header::of(&message).expect_err("twice");
            assert_eq!((error.path(), error.fault()), (path, &Fault::Twice));
            assert!(Header::of_damaged(&message).key().to_key().is_err());
            let decoded = super::super::from_slice::<Json>(&object("v1", "Pod", &message));
            assert_eq!(decoded.expect_err("twice"), error);
        }
    }

    #[test]
    fn of_a_damaged_object_what_comes_first_is_read() {
        let metadata = [field(1, b"a"), field(3, b"b"), field(6, b"7"), vec![0x0a, 9]].concat();
        let message = field(1, &metadata);
        assert!(Header::of(&message).is_err());
        let header = Header::of_damaged(&message);
        assert_eq!((header.key(), header.resource_version()), ("b/a".into(), Some("7")));
        assert!(Header::of_damaged(b"\xff").key().to_key().is_err());
    }

    #[test]
    fn a_name_whose_namespace_is_lost_is_no_key() {
        let name = || field(1, b"a");
        for (rest, known) in [
            (vec![0x0a, 9], false),
            ([field(2, b"a-"), vec![0x1a, 9]].concat(), false),
            (field(3, b"\xff"), false),
            (vec![0x18, 1], false),
            ([field(3, b""), vec![0x0a, 9]].concat(), true),
            // Another encoder leaves an empty namespace out.
            ([field(5, b"u"), vec![0x0a, 9]].concat(), true),
        ] {
            let message = field(1, &[name(), rest.clone()].concat());
            assert!(Header::of(&message).is_err());
            let key = Header::of_damaged(&message).key().to_key();
            assert_eq!(
                key.ok().map(|key| key.to_string()),
                known.then(|| "a".to_owned()),
                "{rest:?}"
            );
        }
        let whole = field(1, &name());
        assert_eq!(Header::of_damaged(&whole).key(), "a".into(), "of the cluster");
    }
}
