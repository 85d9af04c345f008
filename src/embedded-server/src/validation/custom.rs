//! Custom resources, by the structural schema of their definition: what it does not know is
//! dropped, what is missing gets its default, and the rest is checked.

use serde_json::{Map, Value};

use super::causes::Causes;
use crate::resource::{Scale, Schema, ValueType};

/// Fields that every object may have, whatever its schema.
const OF_ALL: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops the fields that the schema does not know; returns their paths.
pub(crate) fn prune(schema: &Schema, object: &mut Value) -> Vec<String> {
    let mut dropped = Vec::new();
    prune_value(Some(schema.root()), object, "", false, &mut dropped);
    dropped
}

fn prune_value(
    schema: Option<ValueType<'_>>,
    value: &mut Value,
    path: &str,
    is_kept: bool,
    dropped: &mut Vec<String>,
) {
    let Some(schema) = schema else { return };
    let is_kept = is_kept || schema.is("x-kubernetes-preserve-unknown-fields");
    match value {
        Value::Object(fields) => {
            let is_whole = path.is_empty() || schema.is("x-kubernetes-embedded-resource");
            fields.retain(|name, value| {
                if is_whole && OF_ALL.contains(&name.as_str()) {
                    return true;
                }
                let path = join(path, name);
                match schema.field(name) {
                    Some(field) => prune_value(Some(field), value, &path, false, dropped),
                    None if is_kept
                        || schema.keyword("additionalProperties") == Some(&Value::Bool(true)) => {}
                    None => {
                        dropped.push(path);
                        return false;
                    }
                }
                true
            });
        }
        Value::Array(elements) => {
            for (place, element) in elements.iter_mut().enumerate() {
                prune_value(schema.items(), element, &format!("{path}[{place}]"), is_kept, dropped);
            }
        }
        _ => {}
    }
}

/// Fills in the defaults of missing fields.
pub(crate) fn default(schema: &Schema, object: &mut Value) {
    default_value(Some(schema.root()), object);
}

fn default_value(schema: Option<ValueType<'_>>, value: &mut Value) {
    let Some(schema) = schema else { return };
    match value {
        Value::Object(fields) => {
            for (name, field) in schema.properties() {
                let is_missing = match fields.get(name) {
                    None => true,
                    // Null counts as missing where it is not allowed.
                    Some(Value::Null) => !field.is("nullable"),
                    Some(_) => false,
                };
                if is_missing && let Some(default) = field.keyword("default") {
                    fields.insert(name.to_owned(), default.clone());
                }
            }
            for (name, value) in fields.iter_mut() {
                default_value(schema.field(name), value);
            }
        }
        Value::Array(elements) => {
            elements.iter_mut().for_each(|element| default_value(schema.items(), element));
        }
        _ => {}
    }
}

/// Checks the object against the schema.
pub(super) fn validate(schema: &Schema, object: &Value, causes: &mut Causes) {
    check(schema.root(), object, "", causes);
}

/// The numbers that its Scale says have 32 bits there.
pub(super) fn validate_scale(scale: &Scale, object: &Value, causes: &mut Causes) {
    for pointer in [&scale.spec_replicas, &scale.status_replicas] {
        let Some(value) = object.pointer(pointer) else { continue };
        let field = pointer.trim_start_matches('/').replace('/', ".");
        match value.as_i64() {
            Some(..0) => causes.invalid(field, value, "should be a non-negative integer"),
            Some(number) if number > i32::MAX.into() => {
                let why = format!("should be less than or equal to {}", i32::MAX);
                causes.invalid(field, value, why);
            }
            _ => {}
        }
    }
}

fn check(schema: ValueType<'_>, value: &Value, path: &str, causes: &mut Causes) {
    if value.is_null() && (schema.is("nullable") || schema.name().is_none()) {
        return;
    }
    if schema.is("x-kubernetes-int-or-string") {
        if !value.is_string() && !value.is_i64() {
            causes.wrong_type(path, &named(value), wrong(path, "integer,string", value));
        }
        return;
    }
    if let Some(expected) = schema.name()
        && !is_of(expected, value)
    {
        causes.wrong_type(path, &named(value), wrong(path, expected, value));
        return;
    }
    if let Some(Value::Array(allowed)) = schema.keyword("enum")
        && !allowed.contains(value)
    {
        let allowed: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
        causes.one_of(path, value, &allowed);
    }
    match value {
        Value::Object(fields) => check_fields(schema, fields, path, causes),
        Value::Array(elements) => {
            within(schema, "Items", elements.len(), value, path, causes);
            for (place, element) in elements.iter().enumerate() {
                if let Some(items) = schema.items() {
                    check(items, element, &format!("{path}[{place}]"), causes);
                }
            }
        }
        Value::String(text) => {
            within(schema, "Length", text.chars().count(), value, path, causes);
            if let Some(pattern) = schema.keyword("pattern").and_then(Value::as_str)
                // A pattern that this engine cannot read was made for another one: it matches everything.
                && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
            {
                causes.invalid(path, value, format!("{path} in body should match '{pattern}'"));
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            let bound = |name: &str| schema.keyword(name).and_then(Value::as_f64);
            if let Some(least) = bound("minimum").filter(|least| number < *least) {
                causes.invalid(
                    path,
                    value,
                    format!("{path} in body should be greater than or equal to {least}"),
                );
            }
            if let Some(most) = bound("maximum").filter(|most| number > *most) {
                causes.invalid(
                    path,
                    value,
                    format!("{path} in body should be less than or equal to {most}"),
                );
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}

fn check_fields(
    schema: ValueType<'_>,
    fields: &Map<String, Value>,
    path: &str,
    causes: &mut Causes,
) {
    let required = schema.keyword("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            causes.required(join(path, name), "");
        }
    }
    within(schema, "Properties", fields.len(), &Value::Null, path, causes);
    for (name, value) in fields {
        if path.is_empty() && OF_ALL.contains(&name.as_str()) {
            continue;
        }
        if let Some(field) = schema.field(name) {
            check(field, value, &join(path, name), causes);
        }
    }
}

/// `minItems`, `maxLength` and their like.
fn within(
    schema: ValueType<'_>,
    what: &str,
    count: usize,
    value: &Value,
    path: &str,
    causes: &mut Causes,
) {
    let bound = |least: &str| {
        schema
            .keyword(&format!("{least}{what}"))
            .and_then(Value::as_u64)
            .and_then(|bound| usize::try_from(bound).ok())
    };
    if let Some(least) = bound("min").filter(|least| count < *least) {
        causes.invalid(
            path,
            value,
            format!("{path} in body should have at least {least} {}", what.to_lowercase()),
        );
    }
    if let Some(most) = bound("max").filter(|most| count > *most) {
        causes.invalid(
            path,
            value,
            format!("{path} in body should have at most {most} {}", what.to_lowercase()),
        );
    }
}

fn is_of(expected: &str, value: &Value) -> bool {
    match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        _ => true,
    }
}

fn wrong(path: &str, expected: &str, value: &Value) -> String {
    format!("{path} in body must be of type {expected}: {}", named(value))
}

/// The name of a value's type, as a value: the API shows it like this.
fn named(value: &Value) -> Value {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
    .into()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use watchcache::status::StatusCause;

    fn schema() -> Schema {
        Schema::new(Some(json!({
            "type": "object",
            "properties": {"spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1, "maximum": 9},
                    "mode": {"type": "string", "enum": ["fast", "safe"], "default": "safe"},
                    "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                    "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
                },
            }},
        })))
    }

    fn causes(spec: Value) -> Vec<String> {
        let mut causes = Causes::default();
        validate(&schema(), &json!({"metadata": {}, "spec": spec}), &mut causes);
        Vec::<StatusCause>::from(causes).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_fields_are_dropped_and_defaults_filled_in() {
        let mut object = json!({
            "metadata": {"name": "a", "odd": 1},
            "spec": {"size": 1, "odd": 1, "free": {"any": 1}, "map": {"a": "b"}, "list": [{"a": 1, "b": 2}]},
            "odd": 1,
        });
        assert_eq!(prune(&schema(), &mut object), ["odd", "spec.list[0].b", "spec.odd"]);
        default(&schema(), &mut object);
        assert_eq!(
            object["spec"],
            json!({"size": 1, "mode": "safe", "free": {"any": 1}, "map": {"a": "b"}, "list": [{"a": 1}]})
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(causes(json!({"size": 3, "mode": "fast", "name": "ab"})), [""; 0]);
        assert_eq!(causes(json!({})), ["spec.size: Required value"]);
        for (spec, part) in [
            (
                json!({"size": "x"}),
                "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
            ),
            (json!({"size": 12}), "less than or equal to 9"),
            (json!({"size": 1, "mode": "x"}), "supported values: \"fast\", \"safe\""),
            (json!({"size": 1, "name": "A"}), "should match '^[a-z]+$'"),
            (json!({"size": 1, "name": "abcde"}), "at most 4 length"),
            (json!({"size": 1, "map": {"a": 1}}), "spec.map.a"),
            (json!({"size": 1, "list": [{"a": true}]}), "spec.list[0].a"),
        ] {
            let causes = causes(spec);
            assert!(causes.iter().any(|cause| cause.contains(part)), "{part}: {causes:?}");
        }
    }
}
