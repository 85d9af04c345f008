//! What is read of an object without decoding the rest.

use std::ops::Range;

use super::error::{Error, Fault, Result};
use super::wire::{Reader, Value, fields, head_len, write_head};
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

/// The name of a field of the metadata that is read.
fn name_of(number: u32) -> Option<&'static str> {
    match number {
        NAME => Some("name"),
        NAMESPACE => Some("namespace"),
        UID => Some("uid"),
        RESOURCE_VERSION => Some("resourceVersion"),
        LABELS => Some("labels"),
        MANAGED_FIELDS => Some("managedFields"),
        _ => None,
    }
}

/// As who decodes the object says it.
#[cold]
fn twice(field: &str) -> Error {
    Error::from(Fault::Twice).within(field)
}

/// An object's metadata; what is not there is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Header<'a> {
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
    resource_version: &'a str,
    labels: &'a [u8],
    /// Where they begin in the metadata, and how many they are.
    labels_at: (usize, usize),
    /// The number of the last field of the metadata that was read.
    last: u32,
    /// Where the field of the metadata lies in the object, and the managed fields in the metadata.
    field: Range<usize>,
    metadata_len: usize,
    managed_fields: Range<usize>,
}

impl<'a> Header<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Result<Self> {
        let mut header = Self::default();
        header.read(message)?;
        Ok(header)
    }

    /// The header as far as it can be read. It has a name only if what would say the namespace was
    /// passed: fields come in the order of their numbers, and a name by itself is another object's. Where a
    /// field is there twice, nobody knows whose name it is.
    pub(crate) fn of_damaged(message: &'a [u8]) -> Self {
        let mut header = Self::default();
        // What is wrong is told by who decodes the object.
        if let Err(error) = header.read(message)
            && (header.last < NAMESPACE || *error.fault() == Fault::Twice)
        {
            header.name = "";
        }
        header
    }

    fn read(&mut self, message: &'a [u8]) -> Result<()> {
        let mut rest = Reader::new(message);
        let (start, metadata) = loop {
            let start = rest.offset_in(message);
            match rest.next()? {
                Some((METADATA, value)) => break (start, value.bytes()?),
                Some(_) => {}
                None => return Ok(()),
            }
        };
        self.field = start..rest.offset_in(message);
        self.metadata_len = metadata.len();
        self.read_metadata(metadata)?;
        // What else is wrong behind it is told by who decodes the object.
        while let Ok(Some((number, _))) = rest.next() {
            if number == METADATA {
                return Err(twice("metadata"));
            }
        }
        Ok(())
    }

    fn read_metadata(&mut self, metadata: &'a [u8]) -> Result<()> {
        let mut rest = Reader::new(metadata);
        let mut seen = 0_u32;
        loop {
            let start = rest.offset_in(metadata);
            let Some((number, value)) = rest.next()? else { return Ok(()) };
            let end = rest.offset_in(metadata);
            let goes_on = number == self.last && matches!(number, LABELS | MANAGED_FIELDS);
            if let Some(field) = name_of(number).filter(|_| !goes_on) {
                let bit = 1 << number;
                if seen & bit != 0 {
                    return Err(twice(field).within("metadata"));
                }
                seen |= bit;
            }
            match number {
                NAME => self.name = value.text()?,
                NAMESPACE => self.namespace = value.text()?,
                UID => self.uid = value.text()?,
                RESOURCE_VERSION => self.resource_version = value.text()?,
                LABELS => {
                    let (first, count) = if goes_on { self.labels_at } else { (start, 0) };
                    self.labels_at = (first, count + 1);
                    self.labels = metadata.get(first..end).unwrap_or_default();
                }
                MANAGED_FIELDS => {
                    let first = if goes_on { self.managed_fields.start } else { start };
                    self.managed_fields = first..end;
                }
                _ => {}
            }
            self.last = number;
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

    /// Names and values, in the order of the wire.
    pub(crate) fn labels(&self) -> impl Iterator<Item = Result<(&'a str, &'a str)>> {
        let mut rest = Reader::new(self.labels);
        std::iter::from_fn(move || rest.next().transpose()).map(|entry| {
            let [name, value] = fields(entry?.1.bytes()?)?;
            let text = |part: Option<Value<'a>>| part.map_or(Ok(""), Value::text);
            Ok((text(name)?, text(value)?))
        })
    }

    pub(crate) fn label_count(&self) -> usize {
        self.labels_at.1
    }

    /// The object without managed fields.
    pub(crate) fn without_managed_fields(&self, message: &[u8]) -> Box<[u8]> {
        let (field, gone) = (&self.field, &self.managed_fields);
        if gone.is_empty() {
            return message.into();
        }
        // These are ranges of this very message.
        let part = |range: Range<usize>| message.get(range).unwrap_or_default();
        let metadata = self.metadata_start();
        let mut pruned = Vec::with_capacity(message.len() - gone.len() - self.shorter_head());
        pruned.extend_from_slice(part(0..field.start));
        write_head(METADATA, self.metadata_len - gone.len(), &mut pruned);
        pruned.extend_from_slice(part(metadata..metadata + gone.start));
        pruned.extend_from_slice(part(metadata + gone.end..message.len()));
        pruned.into_boxed_slice()
    }

    /// Where a part of the metadata that begins here in the object begins without managed fields.
    pub(crate) fn without_managed_fields_at(&self, start: usize) -> usize {
        let gone = &self.managed_fields;
        if gone.is_empty() {
            return start;
        }
        let behind = start >= self.metadata_start() + gone.end;
        start - self.shorter_head() - if behind { gone.len() } else { 0 }
    }

    fn metadata_start(&self) -> usize {
        self.field.end - self.metadata_len
    }

    /// By how much what stands before the metadata is shorter without managed fields.
    fn shorter_head(&self) -> usize {
        let head = self.metadata_start() - self.field.start;
        head - head_len(METADATA, self.metadata_len - self.managed_fields.len())
    }
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
            let labels = header.labels().map(|label| label.expect("texts"));
            let labels: serde_json::Map<_, _> =
                labels.map(|(name, value)| (name.to_owned(), value.into())).collect();
            assert_eq!(header.label_count(), labels.len());
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
