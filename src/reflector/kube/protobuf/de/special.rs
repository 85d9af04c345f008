//! Messages that are something else than objects in JSON.

use serde::de::Visitor;
use serde_json::de::SliceRead;

use crate::reflector::kube::protobuf::error::Result;
use crate::reflector::kube::protobuf::schema::Kind;
use crate::reflector::kube::protobuf::time::{TimeText, UNSET};
use crate::reflector::kube::protobuf::wire::{Value, fields};

/// A time in seconds; nothing of a time that was never set, which is an empty message or Go's zero time.
pub(super) fn time(message: &[u8]) -> Result<Option<TimeText>> {
    seconds(message)?.map(|seconds| TimeText::new(seconds, None)).transpose()
}

/// The same in microseconds.
pub(super) fn micro_time(message: &[u8]) -> Result<Option<TimeText>> {
    let text = |(seconds, micros)| TimeText::new(seconds, Some(micros));
    micros(message)?.map(text).transpose()
}

/// Whether it is a time that was never set. What is wrong with a time is told when it is read.
pub(super) fn is_unset(kind: Kind, time: Value<'_>) -> bool {
    match (kind, time) {
        _ if time.is_zero() => true,
        // Go's zero time has seconds of ten bytes: few others are as long.
        (_, Value::Bytes(message)) if message.len() <= 10 => false,
        (Kind::Time, Value::Bytes(message)) => matches!(seconds(message), Ok(None)),
        (Kind::MicroTime, Value::Bytes(message)) => matches!(micros(message), Ok(None)),
        _ => false,
    }
}

fn seconds(message: &[u8]) -> Result<Option<i64>> {
    Ok(moment(message)?.map(|(seconds, _)| seconds).filter(|seconds| *seconds != UNSET))
}

/// Seconds and microseconds. Go cuts the nanoseconds to them before it carries: what is less than one
/// before a second is that second.
fn micros(message: &[u8]) -> Result<Option<(i64, u32)>> {
    let carried = |(seconds, nanos): (i64, i64)| {
        let micros = nanos / 1_000;
        let seconds = seconds.saturating_add(micros.div_euclid(MICROS));
        (seconds, micros.rem_euclid(MICROS) as u32)
    };
    Ok(moment(message)?.map(carried).filter(|time| *time != (UNSET, 0)))
}

/// How many microseconds a second has.
const MICROS: i64 = 1_000_000;

/// Seconds and nanoseconds.
fn moment(message: &[u8]) -> Result<Option<(i64, i64)>> {
    if message.is_empty() {
        return Ok(None);
    }
    let [seconds, nanos] = fields(message)?;
    Ok(Some((integer(seconds)?, int32(nanos)?)))
}

/// The only field of a message, as a text. One that was never set is zero, and so is it in JSON.
pub(super) fn quantity(message: &[u8]) -> Result<&str> {
    let [text] = fields(message)?;
    match text.map_or(Ok(""), Value::text)? {
        "" => Ok("0"),
        text => Ok(text),
    }
}

pub(super) fn int_or_string<'de, V: Visitor<'de>>(
    message: &'de [u8],
    visitor: V,
) -> Result<V::Value> {
    let [which, number, text] = fields(message)?;
    match integer(which)? {
        0 => visitor.visit_i64(int32(number)?),
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

fn int32(value: Option<Value<'_>>) -> Result<i64> {
    value.map_or(Ok(0), Value::int32)
}
