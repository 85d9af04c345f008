//! A message, from the fields that its JSON object has.

use serde_json::{Map, Value as Json};

use super::{deeper, expected, value, within};
use crate::reflector::kube::protobuf::error::{Error, Fault, Result};
use crate::reflector::kube::protobuf::schema::{Field, Form, Kind, Message};

/// Writes all fields of an object; it may have these `besides`, which are written elsewhere.
pub(super) fn message(
    schema: &'static Message,
    object: &Map<String, Json>,
    besides: &[&str],
    depth: u8,
    out: &mut Vec<u8>,
) -> Result<()> {
    // Names are only looked at if there are more of them than were found.
    if fields(schema, object, depth, out)? == object.len() {
        return Ok(());
    }
    let is_unknown = |name: &&String| !besides.contains(&name.as_str()) && !has(schema, name);
    match object.keys().find(is_unknown) {
        Some(name) => Err(Error::from(Fault::UnknownField).within(name)),
        None => Ok(()),
    }
}

/// Writes the fields of a message in the order of their numbers; how many of them the object has.
fn fields(
    schema: &'static Message,
    object: &Map<String, Json>,
    depth: u8,
    out: &mut Vec<u8>,
) -> Result<usize> {
    let mut known = 0;
    for (number, field) in schema.fields() {
        if let (Form::Inline, Kind::Message(inlined)) = (field.form(), field.kind()) {
            known += within(number, out, |out| fields(inlined, object, depth, out))?;
            continue;
        }
        let json = object.get(field.json());
        known += usize::from(json.is_some());
        let json = json.filter(|json| !json.is_null());
        write(number, field, json, depth, out).map_err(|error| error.within(field.json()))?;
    }
    Ok(known)
}

/// Whether an object of this message may have a field of this name.
fn has(schema: &'static Message, name: &str) -> bool {
    schema.fields().any(|(_, field)| match (field.form(), field.kind()) {
        (Form::Inline, Kind::Message(inlined)) => has(inlined, name),
        _ => field.json() == name,
    })
}

fn write(
    number: u32,
    field: &Field,
    json: Option<&Json>,
    depth: u8,
    out: &mut Vec<u8>,
) -> Result<()> {
    let kind = field.kind();
    match (field.form(), json) {
        (Form::List | Form::ManagedFields, Some(list)) => {
            value::list(number, kind, value::array(list)?, deeper(depth)?, out)
        }
        (Form::Map, Some(map)) => entries(number, kind, map, deeper(depth)?, out),
        (_, Some(json)) => value::write(number, kind, json, depth, out),
        // Go leaves no zero out, but bytes that are none.
        (Form::NonZero, None) if !matches!(kind, Kind::Bytes) => {
            value::zero(number, kind, out);
            Ok(())
        }
        // JSON is `null` where such a value is zero, and where a pointer is nil, which is another thing.
        (Form::Always, None) if matches!(kind, Kind::Time | Kind::MicroTime | Kind::Json) => {
            value::zero(number, kind, out);
            Ok(())
        }
        (_, None) => Ok(()),
    }
}

/// Writes a map in the order of its names, each entry as a message of a name and a value.
fn entries(number: u32, kind: Kind, map: &Json, depth: u8, out: &mut Vec<u8>) -> Result<()> {
    let Json::Object(map) = map else { return Err(expected("an object")) };
    let mut entries: Vec<_> = map.iter().collect();
    // Whatever order its keys are kept in: serde_json has a feature for it.
    entries.sort_unstable_by_key(|(name, _)| *name);
    for (name, json) in entries {
        within(number, out, |out| {
            value::run(1, name.as_bytes(), out);
            match (kind, json) {
                // Of bytes that are nil Go writes nothing, here too.
                (Kind::Bytes, Json::Null) => Ok(()),
                _ => value::element(2, kind, json, depth, out),
            }
        })
        .map_err(|error| error.within(name))?;
    }
    Ok(())
}
