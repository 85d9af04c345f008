//! JSON as what it is in protobuf, by the same schema that `de` reads: of JSON as Go writes it, byte for byte
//! what Kubernetes' own encoder writes of that object. What is absent stays absent.

mod fields;
mod quantity;
mod special;
mod time;
mod value;

use serde_json::{Map, Value as Json};

use super::de::DEEPEST;
use super::envelope::{MAGIC, Type};
use super::error::{Error, Fault, Result};
use super::wire::write_head;

/// Writes an object with what Kubernetes puts around it.
pub(super) fn object(object: &Json) -> Result<Vec<u8>> {
    let object = value::object(object)?;
    let of = Type { api_version: told(object, API_VERSION)?, kind: told(object, KIND)? };
    let schema = of.schema()?;
    let mut out = MAGIC.to_vec();
    within(1, &mut out, |out| {
        value::run(1, of.api_version.as_bytes(), out);
        value::run(2, of.kind.as_bytes(), out);
        Ok(())
    })?;
    within(2, &mut out, |out| fields::message(schema, object, &[API_VERSION, KIND], 1, out))?;
    // No content encoding, and no content type: Go leaves nothing out.
    value::run(3, b"", &mut out);
    value::run(4, b"", &mut out);
    Ok(out)
}

const API_VERSION: &str = "apiVersion";
const KIND: &str = "kind";

/// A part of an object's type; nothing if it says none.
fn told<'a>(object: &'a Map<String, Json>, name: &str) -> Result<&'a str> {
    match object.get(name) {
        None | Some(Json::Null) => Ok(""),
        Some(told) => value::text(told).map_err(|error| error.within(name)),
    }
}

/// Writes a message, or what else has a length, and its number and length before it.
fn within<T>(
    number: u32,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<T>,
) -> Result<T> {
    let start = out.len();
    let written = write(out)?;
    let end = out.len();
    write_head(number, end - start, out);
    let head = out.len() - end;
    // A length is known, and how long it is itself, once what it is of was written.
    out[start..].rotate_right(head);
    Ok(written)
}

/// The depth of what lies in a message, list or map of this one: no more than is read again.
fn deeper(depth: u8) -> Result<u8> {
    match depth {
        DEEPEST => Err(Fault::TooDeep.into()),
        depth => Ok(depth + 1),
    }
}

#[cold]
fn expected(what: &'static str) -> Error {
    Fault::Expected(what).into()
}
