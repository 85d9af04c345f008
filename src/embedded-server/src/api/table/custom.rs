//! The columns of custom resources, as their definitions choose them.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{age::since, name};
use crate::resource::PrinterColumn;

/// Without columns of its own a resource shows its age.
pub(super) fn definitions(columns: &[PrinterColumn]) -> Value {
    let mut all = vec![json!({
        "name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": "The name of the object",
    })];
    all.extend(columns.iter().map(|column| {
        json!({
            "name": column.name, "type": column.value_type, "format": column.format,
            "priority": column.priority, "description": column.description,
        })
    }));
    if columns.is_empty() {
        all.push(json!({
            "name": "Age", "type": "date", "format": "", "priority": 0,
            "description": "The age of the object",
        }));
    }
    Value::Array(all)
}

pub(super) fn cells(columns: &[PrinterColumn], object: &Value) -> Vec<Value> {
    let mut cells = vec![name(object)];
    cells.extend(columns.iter().map(|column| match find(object, &column.json_path) {
        Some(Value::String(time)) if column.value_type == "date" => since(time).into(),
        Some(value) if value.is_object() || value.is_array() => value.to_string().into(),
        Some(value) => value.clone(),
        None if column.value_type == "string" => "".into(),
        None => Value::Null,
    }));
    if columns.is_empty() {
        cells.push(super::age(object));
    }
    cells
}

/// The first value of a JSON path: fields, places and comparisons by equality, which is what
/// columns are made of: `.status.conditions[?(@.type=="Ready")].status`.
fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    let mut rest = path.trim();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, tail) = inner.split_once(']')?;
            rest = tail;
            value = match step.strip_prefix("?(@.").and_then(|test| test.strip_suffix(')')) {
                Some(test) => {
                    let (field, wanted) = test.split_once("==")?;
                    let wanted = wanted.trim().trim_matches(['"', '\'']);
                    let is_wanted = |element: &&Value| {
                        element.get(field.trim()).is_some_and(|value| shown(value) == wanted)
                    };
                    value.as_array()?.iter().find(is_wanted)?
                }
                None => match step.trim_matches(['"', '\'']) {
                    "*" => value.as_array()?.first()?,
                    step => match step.parse::<usize>() {
                        Ok(place) => value.get(place)?,
                        Err(_) => value.get(step)?,
                    },
                },
            };
        } else {
            let field = rest.trim_start_matches('.');
            // A dot within a name is written with a backslash before it.
            let mut name = String::new();
            let mut characters = field.char_indices();
            let mut end = field.len();
            while let Some((at, character)) = characters.next() {
                match character {
                    '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
                    '.' | '[' => {
                        end = at;
                        break;
                    }
                    other => name.push(other),
                }
            }
            rest = &field[end..];
            if !name.is_empty() {
                value = value.get(&name)?;
            }
        }
    }
    Some(value)
}

fn shown(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let object = json!({
            "metadata": {"annotations": {"example.com/a": "b"}},
            "spec": {"sizes": [3, 4], "deep": {"er": true}},
            "status": {"conditions": [
                {"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"},
            ]},
        });
        for (path, value) in [
            (".spec.sizes[1]", json!(4)),
            (".spec.deep.er", json!(true)),
            (".status.conditions[?(@.type==\"Ready\")].status", json!("True")),
            (".status.conditions[?(@.type=='Synced')].status", json!("False")),
            (".metadata.annotations.example\\.com/a", json!("b")),
            (".metadata.annotations['example.com/a']", json!("b")),
        ] {
            assert_eq!(find(&object, path), Some(&value), "{path}");
        }
        for path in [".spec.none", ".spec.sizes[9]", ".status.conditions[?(@.type==\"x\")]", "["] {
            assert_eq!(find(&object, path), None, "{path}");
        }
    }
}
