//! Messages that are something else than objects in JSON.

use serde::de::Visitor;
use serde_json::de::SliceRead;

use crate::reflector::kube::protobuf::error::Result;
use crate::reflector::kube::protobuf::time::TimeText;
use crate::reflector::kube::protobuf::wire::{Value, fields};

/// A time in seconds, or a Go time that was never set, which is an empty message.
pub(super) fn time(message: &[u8]) -> Result<Option<TimeText>> {
    moment(message, |_| None)
}

/// The same in microseconds.
pub(super) fn micro_time(message: &[u8]) -> Result<Option<TimeText>> {
    moment(message, |nanos| Some(nanos / 1_000))
}

fn moment(message: &[u8], micros: fn(u32) -> Option<u32>) -> Result<Option<TimeText>> {
    if message.is_empty() {
        return Ok(None);
    }
    let [seconds, nanos] = fields(message)?;
    let [seconds, nanos] = [integer(seconds)?, integer(nanos)?];
    TimeText::new(seconds, micros(nanos.rem_euclid(1_000_000_000) as u32)).map(Some)
}

/// The only field of a message, as a text.
pub(super) fn quantity(message: &[u8]) -> Result<&str> {
    let [text] = fields(message)?;
    text.map_or(Ok(""), Value::text)
}

pub(super) fn int_or_string<'de, V: Visitor<'de>>(
    message: &'de [u8],
    visitor: V,
) -> Result<V::Value> {
    let [which, number, text] = fields(message)?;
    match integer(which)? {
        0 => visitor.visit_i64(integer(number)?),
        _ => visitor.visit_borrowed_str(text.map_or(Ok(""), Value::text)?),
    }
}

/// Reads the JSON that a message holds.
pub(super) fn json<'de, T>(
    message: &'de [u8],
    read: impl FnOnce(&mut serde_json::Deserializer<SliceRead<'de>>) -> serde_json::Result<T>,
) -> Result<T> {
    let [text] = fields(message)?;
    let text = match text.map_or(Ok(&[][..]), Value::bytes)? {
        [] => b"null",
        text => text,
    };
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = read(&mut json)?;
    json.end()?;
    Ok(value)
}

fn integer(value: Option<Value<'_>>) -> Result<i64> {
    value.map_or(Ok(0), Value::integer)
}
