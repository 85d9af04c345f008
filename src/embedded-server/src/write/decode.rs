//! A body as an object of its type.

use std::fmt::Display;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde_json::{Map, Value, json};
use watchcache::reflector::protobuf;

use super::{Request, UnknownFields};
use crate::object::{is_too_deep, text};
use crate::resource::{Definition, Types};
use crate::status::Failure;
use crate::validation;

/// An object as its type knows it, and warnings about what the type does not know.
pub(super) type Decoded = (Value, Vec<String>);

/// Decodes the object that a path names.
pub(super) fn at(request: &Request, name: &str, object: Value) -> Result<Decoded, Failure> {
    let decoded = decode(request, object)?;
    check_place(request, name, &decoded.0)?;
    Ok(decoded)
}

pub(super) fn decode(request: &Request, mut object: Value) -> Result<Decoded, Failure> {
    let definition = &request.definition;
    // Before anything walks down in it.
    check_depth(definition, &object)?;
    check_type(definition, &mut object)?;
    let unknown = match &definition.types {
        Types::Builtin { through, .. } => {
            quantities_as_text(&mut object);
            let typed = through(object.clone()).map_err(|error| undecodable(definition, error))?;
            let unknown = unknown_fields(&object, &typed);
            object = typed;
            check_values(definition, &object)?;
            unknown
        }
        Types::Custom { schema, .. } => {
            let mut unknown = validation::prune(schema, &mut object);
            let given = object["metadata"].clone();
            // A schema may have defaults of metadata, too.
            validation::default(schema, &mut object);
            unknown.extend(metadata_by_type(definition, given, &mut object)?);
            unknown
        }
    };
    let unknown: Vec<_> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    match request.unknown_fields {
        UnknownFields::Refused if !unknown.is_empty() => Err(Failure::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
            definition.kind,
            &*definition.version,
            definition.kind,
            unknown.join(", ")
        ))),
        UnknownFields::Warned => Ok((object, unknown)),
        _ => Ok((object, Vec::new())),
    }
}

/// Reads the metadata of a custom resource, which are of one type whatever the schema says; the paths of
/// what that does not know of those that were `given`.
fn metadata_by_type(
    definition: &Definition,
    given: Value,
    object: &mut Value,
) -> Result<Vec<String>, Failure> {
    let typed = serde_json::from_value::<meta::ObjectMeta>(object["metadata"].take())
        .and_then(serde_json::to_value)
        .map_err(|error| undecodable(definition, error))?;
    let unknown = unknown_fields(&json!({"metadata": given}), &json!({"metadata": typed}));
    let partial = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": typed,
    });
    check_values(definition, &partial)?;
    object["metadata"] = typed;
    Ok(unknown)
}

/// Go refuses values that our types take, such as times before the year 0 and texts that are no quantities:
/// one object that holds such is an error to whoever lists its resource. Go's schema takes what Go reads.
fn check_values(definition: &Definition, object: &Value) -> Result<(), Failure> {
    match protobuf::to_vec(object) {
        Ok(_) => Ok(()),
        Err(error) => Err(undecodable(definition, error)),
    }
}

/// What is stored can be read again, by clients too, with a list or an event around it.
pub(super) fn check_depth(definition: &Definition, object: &Value) -> Result<(), Failure> {
    if is_too_deep(object) {
        return Err(undecodable(definition, "it is nested too deep"));
    }
    Ok(())
}

fn undecodable(definition: &Definition, error: impl Display) -> Failure {
    Failure::bad_request(format!(
        "{} in version {:?} cannot be handled as a {}: {error}",
        definition.kind, &*definition.version, definition.kind
    ))
}

/// The type must be the path's. Where the body names none it is taken to be.
fn check_type(definition: &Definition, object: &mut Value) -> Result<(), Failure> {
    let Value::Object(fields) = object else {
        return Err(Failure::bad_request("the body of the request is no object"));
    };
    for (field, expected) in
        [("apiVersion", definition.api_version()), ("kind", definition.kind.to_string())]
    {
        let given = fields.entry(field).or_insert(Value::Null);
        if given.is_null() || given == "" {
            *given = expected.clone().into();
        }
        if *given != expected {
            let what = if field == "kind" { "kind" } else { "API version" };
            return Err(Failure::bad_request(format!(
                "the {what} in the data ({}) does not match the expected {what} ({expected})",
                given.as_str().unwrap_or_default()
            )));
        }
    }
    let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    if !metadata.is_object() {
        return Err(Failure::bad_request("metadata must be an object"));
    }
    Ok(())
}

/// Quantities may be written as numbers, too.
fn quantities_as_text(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if matches!(name.as_str(), "requests" | "limits" | "capacity" | "allocatable")
                    && let Value::Object(quantities) = value
                {
                    for quantity in quantities.values_mut().filter(|one| one.is_number()) {
                        *quantity = quantity.to_string().into();
                    }
                }
                quantities_as_text(value);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(quantities_as_text),
        _ => {}
    }
}

/// The paths of what is in `object` and has not come through its type.
fn unknown_fields(object: &Value, typed: &Value) -> Vec<String> {
    fn walk(object: &Value, typed: &Value, path: &str, unknown: &mut Vec<String>) {
        match (object, typed) {
            (Value::Object(fields), Value::Object(typed)) => {
                for (name, value) in fields {
                    let path =
                        if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match typed.get(name) {
                        Some(typed) => walk(value, typed, &path, unknown),
                        None if value.is_null() => {}
                        None => unknown.push(path),
                    }
                }
            }
            (Value::Array(elements), Value::Array(typed)) => {
                for (place, (value, typed)) in elements.iter().zip(typed).enumerate() {
                    walk(value, typed, &format!("{path}[{place}]"), unknown);
                }
            }
            _ => {}
        }
    }
    let mut unknown = Vec::new();
    walk(object, typed, "", &mut unknown);
    unknown
}

/// The name in the body must be the path's, and the namespace.
pub(super) fn check_place(request: &Request, name: &str, object: &Value) -> Result<(), Failure> {
    let in_body = crate::object::name(object);
    if !in_body.is_empty() && in_body != name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({in_body}) does not match the name on the URL ({name})"
        )));
    }
    check_namespace(request, object)
}

pub(super) fn check_namespace(request: &Request, object: &Value) -> Result<(), Failure> {
    let in_body = text(object, "/metadata/namespace");
    if in_body.is_empty() || in_body == request.namespace.as_deref().unwrap_or_default() {
        Ok(())
    } else {
        Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_may_be_numbers() {
        let mut object = json!({"resources": [{"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": 0.5}}], "limits": 3});
        quantities_as_text(&mut object);
        let text = json!({"resources": [{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "0.5"}}], "limits": 3});
        assert_eq!(object, text);
    }
}
