//! Strategic merge patch: a merge patch that knows how lists are keyed, with directives for what a
//! merge alone cannot say.

use serde_json::{Map, Value};

use super::shape::{Shape, element_key, position};
use crate::resource::ListType;

/// Merges `patch` into `object`.
pub(super) fn merge(object: &mut Value, patch: &Value, shape: Shape<'_>) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return Ok(());
    };
    match directive(patch)? {
        Some(Directive::Replace) => {
            *object = Value::Object(without_directives(patch));
            return Ok(());
        }
        Some(Directive::Delete) => {
            *object = Value::Object(Map::new());
            return Ok(());
        }
        Some(Directive::Merge) | None => {}
    }
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Value::Object(fields) = object else { return Ok(()) };
    if let Some(Value::Array(kept)) = patch.get("$retainKeys") {
        fields.retain(|name, _| kept.iter().any(|kept| kept == name));
    }
    for (name, change) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(held)), Value::Array(gone)) = (fields.get_mut(list), change) {
                held.retain(|value| !gone.contains(value));
            }
        } else if name.starts_with('$') {
            // The order is restored once the list has been merged.
        } else if change.is_null() {
            fields.remove(name);
        } else if let Value::Array(changes) = change {
            let held = fields.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            let order = patch.get(&format!("$setElementOrder/{name}")).and_then(Value::as_array);
            merge_list(held, name, changes, order, shape.field(name))?;
        } else {
            let held = fields.entry(name).or_insert(Value::Null);
            merge(held, change, shape.field(name))?;
        }
    }
    // An order may come without a change to its list.
    for (name, order) in patch {
        if let Some(list) = name.strip_prefix("$setElementOrder/")
            && !patch.contains_key(list)
            && let (Some(Value::Array(held)), Value::Array(order)) = (fields.get_mut(list), order)
        {
            let list_type = shape.field(list).list_type(list, held);
            sort(held, &list_type, order);
        }
    }
    Ok(())
}

fn merge_list(
    held: &mut Value,
    name: &str,
    changes: &[Value],
    order: Option<&Vec<Value>>,
    shape: Shape<'_>,
) -> Result<(), String> {
    let Value::Array(held) = held else {
        *held = Value::Array(changes.to_vec());
        return Ok(());
    };
    let either: Vec<Value> = held.iter().chain(changes).cloned().collect();
    let list_type = shape.list_type(name, &either);
    // A list that is replaced as a whole says so in an element of its own.
    let (directives, changes): (Vec<_>, Vec<_>) = changes.iter().partition(|change| {
        change.as_object().is_some_and(|one| one.len() == 1 && one.contains_key("$patch"))
    });
    if directives.iter().any(|one| one["$patch"] == "replace") {
        held.clear();
    }
    match &list_type {
        ListType::Atomic => *held = changes.into_iter().cloned().collect(),
        ListType::Set => {
            let new: Vec<_> =
                changes.into_iter().filter(|value| !held.contains(value)).cloned().collect();
            held.extend(new);
        }
        ListType::Map(keys) => {
            // Patches name an element by the first key alone.
            let keys = &keys[..1.min(keys.len())];
            for change in changes {
                let key = element_key(keys, change);
                if key.len() < keys.len() {
                    return Err(format!(
                        "map: {change} does not contain declared merge key: {}",
                        keys.join(", ")
                    ));
                }
                let place = position(keys, held, &key);
                let fields = change.as_object().cloned().unwrap_or_default();
                match (directive(&fields)?, place) {
                    (Some(Directive::Delete), Some(place)) => {
                        held.remove(place);
                    }
                    (Some(Directive::Delete), None) => {}
                    (Some(Directive::Replace), Some(place)) => {
                        held[place] = Value::Object(without_directives(&fields));
                    }
                    (_, Some(place)) => merge(&mut held[place], change, shape.items())?,
                    (_, None) => {
                        let mut element = Value::Null;
                        merge(
                            &mut element,
                            &Value::Object(without_directives(&fields)),
                            shape.items(),
                        )?;
                        held.push(element);
                    }
                }
            }
        }
    }
    if let Some(order) = order {
        sort(held, &list_type, order);
    }
    Ok(())
}

/// Brings the elements that `order` names into its order; the others stay behind them.
fn sort(held: &mut [Value], list_type: &ListType, order: &[Value]) {
    let place = |element: &Value| {
        let found = match list_type {
            ListType::Map(keys) => {
                let keys = &keys[..1.min(keys.len())];
                position(keys, order, &element_key(keys, element))
            }
            _ => order.iter().position(|value| value == element),
        };
        found.unwrap_or(usize::MAX)
    };
    held.sort_by_key(place);
}

enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(fields: &Map<String, Value>) -> Result<Option<Directive>, String> {
    Ok(Some(match fields.get("$patch") {
        None => return Ok(None),
        Some(Value::String(text)) if text == "merge" => Directive::Merge,
        Some(Value::String(text)) if text == "replace" => Directive::Replace,
        Some(Value::String(text)) if text == "delete" => Directive::Delete,
        Some(other) => return Err(format!("Unknown patch type: {other}")),
    }))
}

fn without_directives(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = fields.clone();
    fields.retain(|name, _| !name.starts_with('$'));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(object: Value, patch: &Value) -> Value {
        let mut object = object;
        merge(&mut object, patch, Shape::Builtin).expect("a patch");
        object
    }

    #[test]
    fn lists_are_merged_by_key() {
        let pod = json!({"spec": {"containers": [
            {"name": "a", "image": "a:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
            {"name": "b", "image": "b:1"},
        ], "args": [1]}});
        let patch = json!({"spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
            "containers": [
                {"name": "a", "image": "a:2", "ports": [{"containerPort": 81}]},
                {"name": "b", "$patch": "delete"},
                {"name": "c", "image": "c:1"},
            ],
            "args": [2],
        }});
        assert_eq!(
            merged(pod, &patch),
            json!({"spec": {"containers": [
                {"name": "c", "image": "c:1"},
                {"name": "a", "image": "a:2", "ports": [
                    {"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81},
                ]},
            ], "args": [2]}})
        );
    }

    #[test]
    fn directives() {
        let object = json!({
            "metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x/a", "x/b"]},
            "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
        });
        let patch = json!({
            "metadata": {
                "labels": {"a": null, "c": "3"},
                "finalizers": ["x/c"], "$deleteFromPrimitiveList/finalizers": ["x/a"],
            },
            "spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
        });
        assert_eq!(
            merged(object.clone(), &patch),
            json!({
                "metadata": {"labels": {"b": "2", "c": "3"}, "finalizers": ["x/b", "x/c"]},
                "spec": {"strategy": {"type": "Recreate"}},
            })
        );
        let replaced = json!({"metadata": {"labels": {"$patch": "replace", "d": "4"}}});
        assert_eq!(merged(object, &replaced)["metadata"]["labels"], json!({"d": "4"}));
        let mut object = json!({});
        for wrong in [json!({"a": {"$patch": "guess"}}), json!({"env": [{"value": "1"}]})] {
            assert!(merge(&mut object, &wrong, Shape::Builtin).is_err(), "{wrong}");
        }
    }
}
