//! One value, with the number of its field before it.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value as Json};

use super::{deeper, expected, fields, special, within};
use crate::reflector::kube::protobuf::error::Result;
use crate::reflector::kube::protobuf::schema::Kind;
use crate::reflector::kube::protobuf::wire::{write_head, write_varint};

/// The wire types of what is no run of bytes.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;

/// As Go reads it: bits behind the last byte count for nothing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

pub(super) fn write(
    number: u32,
    kind: Kind,
    json: &Json,
    depth: u8,
    out: &mut Vec<u8>,
) -> Result<()> {
    match kind {
        Kind::Text => run(number, text(json)?.as_bytes(), out),
        Kind::Integer => varint(number, integer(json)?, out),
        Kind::Int32 => varint(number, integer_32(json)?.into(), out),
        Kind::Boolean => varint(number, boolean(json)?.into(), out),
        Kind::Double => double(number, json.as_f64().ok_or_else(|| expected("a number"))?, out),
        Kind::Bytes => {
            let bytes = BASE64.decode(&*of_one_line(text(json)?));
            run(number, &bytes.map_err(|_| expected("text in base64"))?, out);
        }
        Kind::Message(schema) => {
            let object = object(json)?;
            let depth = deeper(depth)?;
            return within(number, out, |out| fields::message(schema, object, &[], depth, out));
        }
        Kind::Texts => {
            let texts = array(json)?;
            return within(number, out, |out| list(1, Kind::Text, texts, deeper(depth)?, out));
        }
        _ => return within(number, out, |out| special::write(kind, json, depth, out)),
    }
    Ok(())
}

/// Go passes over line ends in base64.
fn of_one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], "").into() } else { text.into() }
}

/// Writes the values of a list, each with the same number. They lie at this depth.
pub(super) fn list(
    number: u32,
    kind: Kind,
    list: &[Json],
    depth: u8,
    out: &mut Vec<u8>,
) -> Result<()> {
    list.iter().try_for_each(|json| element(number, kind, json, depth, out))
}

/// Writes a value of a list or a map, which is there whatever it is.
pub(super) fn element(
    number: u32,
    kind: Kind,
    json: &Json,
    depth: u8,
    out: &mut Vec<u8>,
) -> Result<()> {
    match json {
        Json::Null => {
            zero(number, kind, out);
            Ok(())
        }
        json => write(number, kind, json, depth, out),
    }
}

/// Writes what was not set.
pub(super) fn zero(number: u32, kind: Kind, out: &mut Vec<u8>) {
    match kind {
        Kind::Integer | Kind::Int32 | Kind::Boolean => varint(number, 0, out),
        Kind::Double => double(number, 0.0, out),
        _ => run(number, b"", out),
    }
}

pub(super) fn run(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    write_head(number, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Writes a number; a negative one has all 64 bits on the wire.
pub(super) fn varint(number: u32, value: i64, out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | VARINT, out);
    write_varint(value.cast_unsigned(), out);
}

fn double(number: u32, value: f64, out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | FIXED64, out);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

pub(super) fn text(json: &Json) -> Result<&str> {
    json.as_str().ok_or_else(|| expected("a text"))
}

pub(super) fn array(json: &Json) -> Result<&[Json]> {
    json.as_array().map(Vec::as_slice).ok_or_else(|| expected("a list"))
}

pub(super) fn object(json: &Json) -> Result<&Map<String, Json>> {
    json.as_object().ok_or_else(|| expected("an object"))
}

fn integer(json: &Json) -> Result<i64> {
    json.as_i64().ok_or_else(|| expected("a whole number of 64 bits"))
}

pub(super) fn integer_32(json: &Json) -> Result<i32> {
    let value = json.as_i64().and_then(|value| i32::try_from(value).ok());
    value.ok_or_else(|| expected("a whole number of 32 bits"))
}

fn boolean(json: &Json) -> Result<bool> {
    json.as_bool().ok_or_else(|| expected("true or false"))
}
