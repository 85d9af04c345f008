//! Reading and changing fields of objects.

use serde_json::{Map, Value};

/// How deep objects and lists are nested at most: our clients, and we, read 127 levels, of which a list or an
/// event around an object has some.
const DEEPEST: usize = 120;

/// Whether it is nested too deep to be stored.
pub(crate) fn is_too_deep(object: &Value) -> bool {
    is_too_deep_at(0, object)
}

/// The same of what lies so many levels deep. It looks no deeper than that.
pub(crate) fn is_too_deep_at(level: usize, value: &Value) -> bool {
    let inner = |value: &Value| is_too_deep_at(level + 1, value);
    match value {
        Value::Object(fields) => level >= DEEPEST || fields.values().any(inner),
        Value::Array(elements) => level >= DEEPEST || elements.iter().any(inner),
        _ => false,
    }
}

/// The text at `pointer`, or empty.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The elements at `pointer`; empty if that is not an array.
pub(crate) fn array<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The fields at `pointer`; empty if that is not an object.
pub(crate) fn fields<'a>(
    object: &'a Value,
    pointer: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

/// The object in a field, made where there is none.
pub(crate) fn section<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    if !object[field].is_object() {
        object[field] = Value::Object(Map::new());
    }
    match &mut object[field] {
        Value::Object(fields) => fields,
        _ => unreachable!("it was just made"),
    }
}

/// The metadata, to be changed.
pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    section(object, "metadata")
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Returns whether its deletion has begun.
pub(crate) fn is_deleting(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// The finalizers that keep it from being removed.
pub(crate) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    array(object, "/metadata/finalizers").iter().filter_map(Value::as_str)
}

/// Removes a finalizer; returns whether it was there.
pub(crate) fn remove_finalizer(object: &mut Value, finalizer: &str) -> bool {
    let metadata = metadata(object);
    let Some(Value::Array(finalizers)) = metadata.get_mut("finalizers") else { return false };
    let before = finalizers.len();
    finalizers.retain(|one| one != finalizer);
    let removed = finalizers.len() < before;
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    }
    removed
}

/// Adds a finalizer that is not there yet.
pub(crate) fn add_finalizer(object: &mut Value, finalizer: &str) {
    let finalizers =
        metadata(object).entry("finalizers").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(finalizers) = finalizers
        && !finalizers.iter().any(|one| one == finalizer)
    {
        finalizers.push(finalizer.into());
    }
}

/// The group and the version of an `apiVersion`.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}
