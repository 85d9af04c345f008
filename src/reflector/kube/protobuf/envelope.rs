//! What Kubernetes puts around an object: a mark, the object's type, and the object as bytes.

use super::error::{Fault, Result};
use super::schema::{self, Message};
use super::wire::{Reader, Value, fields, write_head};

/// How every object begins that stands by itself.
pub(crate) const MAGIC: &[u8] = b"k8s\0";

/// The number of the field behind the type.
const MESSAGE: u32 = 2;

/// What an object is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Type<'a> {
    pub(crate) api_version: &'a str,
    pub(crate) kind: &'a str,
}

/// An object's type and its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) of: Type<'a>,
    pub(crate) message: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self> {
        let unknown = bytes.strip_prefix(MAGIC).ok_or(Fault::Magic)?;
        let [of, message, encoding, content] = fields(unknown)?;
        let text = |value: Option<Value<'a>>| value.map_or(Ok(""), Value::text);
        let bytes = |value: Option<Value<'a>>| value.map_or(Ok(&[][..]), Value::bytes);
        for said in [text(encoding)?, text(content)?] {
            if !said.is_empty() && said != super::MEDIA_TYPE {
                return Err(Fault::Content(said.to_owned()).into());
            }
        }
        let [api_version, kind] = fields(bytes(of)?)?;
        let of = Type { api_version: text(api_version)?, kind: text(kind)? };
        Ok(Self { of, message: bytes(message)? })
    }
}

/// How an object of a type begins, as Kubernetes writes it.
pub(crate) fn beginning(of: Type<'_>) -> Vec<u8> {
    let mut said = Vec::new();
    for (number, text) in [(1, of.api_version), (2, of.kind)] {
        write_head(number, text.len(), &mut said);
        said.extend_from_slice(text.as_bytes());
    }
    let mut begun = MAGIC.to_vec();
    write_head(1, said.len(), &mut begun);
    begun.extend_from_slice(&said);
    begun
}

/// The message of an object that begins so, and is otherwise as Kubernetes writes it; any other is left to
/// [`Envelope::open`].
pub(crate) fn message_of<'a>(bytes: &'a [u8], beginning: &[u8]) -> Option<&'a [u8]> {
    let mut rest = Reader::new(bytes.strip_prefix(beginning)?);
    let Ok(Some((MESSAGE, Value::Bytes(message)))) = rest.next() else { return None };
    // No content encoding, and no content type.
    matches!(rest.rest(), b"" | b"\x1a\0\x22\0").then_some(message)
}

/// An event of a watch, which has nothing around it: its type, and its object, which has.
pub(crate) fn event<'a>(frame: &'a [u8]) -> Result<[&'a [u8]; 2]> {
    let bytes = |value: Option<Value<'a>>| value.map_or(Ok(&[][..]), Value::bytes);
    let [event_type, object] = fields(frame)?;
    let [raw] = fields(bytes(object)?)?;
    Ok([bytes(event_type)?, bytes(raw)?])
}

impl<'a> Type<'a> {
    /// API version and kind, where it says them: an empty text says nothing.
    pub(crate) fn said(self) -> [Option<&'a str>; 2] {
        [self.api_version, self.kind].map(|text| Some(text).filter(|text| !text.is_empty()))
    }

    /// What an object of this schema is of.
    pub(crate) fn of(schema: &'static Message) -> Option<Type<'static>> {
        let (api_version, kind) = schema::type_of(schema)?;
        Some(Type { api_version, kind })
    }

    pub(crate) fn schema(self) -> Result<&'static Message> {
        schema::find(self.api_version, self.kind).ok_or_else(|| {
            let Type { api_version, kind } = self;
            let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
            Fault::UnknownKind { api_version, kind }.into()
        })
    }
}
