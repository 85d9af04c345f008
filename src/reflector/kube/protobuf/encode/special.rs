//! The fields of messages that are something else than objects in JSON.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::quantity::is_quantity;
use super::time::Moment;
use super::{deeper, expected, value};
use crate::reflector::kube::protobuf::error::Result;
use crate::reflector::kube::protobuf::schema::{JSON_SCHEMA, Kind};

pub(super) fn write(kind: Kind, json: &Json, depth: u8, out: &mut Vec<u8>) -> Result<()> {
    let schema = Kind::Message(&JSON_SCHEMA);
    match (kind, json) {
        (Kind::Time, json) => moment(Moment::read(value::text(json)?)?, |_| 0, out),
        (Kind::MicroTime, json) => {
            moment(Moment::read(value::text(json)?)?, |nanos| nanos / 1_000 * 1_000, out);
        }
        (Kind::Quantity, json) => value::run(1, quantity(json)?.as_bytes(), out),
        (Kind::IntOrString, json) => int_or_string(json, out)?,
        (Kind::SchemaOrBool, Json::Bool(allowed)) => value::varint(1, (*allowed).into(), out),
        (Kind::SchemaOrBool, json) => {
            value::varint(1, 1, out);
            value::write(2, schema, json, depth, out)?;
        }
        (Kind::SchemaOrTexts, Json::Array(texts)) => {
            value::list(2, Kind::Text, texts, deeper(depth)?, out)?;
        }
        (Kind::SchemaOrSchemas, Json::Array(schemas)) => {
            value::list(2, schema, schemas, deeper(depth)?, out)?;
        }
        (Kind::SchemaOrSchemas | Kind::SchemaOrTexts, json) => {
            value::write(1, schema, json, depth, out)?;
        }
        // That is what is left: JSON.
        (_, json) => value::run(1, json.to_string().as_bytes(), out),
    }
    Ok(())
}

/// With so much of its nanoseconds as its type keeps. Go's zero time is one that was not set.
fn moment(moment: Moment, kept: impl Fn(u32) -> u32, out: &mut Vec<u8>) {
    if moment == Moment::UNSET {
        return;
    }
    value::varint(1, moment.seconds, out);
    value::varint(2, kept(moment.nanos).into(), out);
}

/// A quantity may be written as a number, too.
fn quantity(json: &Json) -> Result<Cow<'_, str>> {
    let text: Cow<'_, str> = match json {
        Json::String(text) => text.into(),
        Json::Number(number) => number.to_string().into(),
        _ => "".into(),
    };
    if is_quantity(&text) { Ok(text) } else { Err(expected("a quantity")) }
}

/// Which of the two it is, and both: Go leaves nothing out.
fn int_or_string(json: &Json, out: &mut Vec<u8>) -> Result<()> {
    let (which, number, text) = match json {
        Json::String(text) => (1, 0, text.as_str()),
        json => {
            let expected = |_| expected("a whole number of 32 bits or a text");
            (0, value::integer_32(json).map_err(expected)?, "")
        }
    };
    value::varint(1, which, out);
    value::varint(2, number.into(), out);
    value::run(3, text.as_bytes(), out);
    Ok(())
}
