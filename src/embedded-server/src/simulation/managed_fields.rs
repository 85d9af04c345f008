//! `metadata.managedFields`: who owns which field, derived from the fields themselves.

use serde_json::{Map, Value, json};

use crate::time::rfc3339;

/// One entry of `managedFields`: `manager` owns everything in `owned`, a partial object.
pub(super) fn entry(manager: &str, subresource: Option<&str>, at: i64, owned: &Value) -> Value {
    let mut entry = json!({
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": rfc3339(at),
        "fieldsType": "FieldsV1",
        "fieldsV1": field_set(owned, false),
    });
    if let Some(subresource) = subresource {
        entry["subresource"] = subresource.into();
    }
    entry
}

/// The FieldsV1 tree of a value; `itself` adds the `.` that claims a map or element as such.
fn field_set(value: &Value, itself: bool) -> Value {
    let mut tree = Map::new();
    let Value::Object(fields) = value else {
        return Value::Object(tree);
    };
    if itself && !fields.is_empty() {
        tree.insert(".".to_owned(), json!({}));
    }
    for (name, field) in fields {
        let owned = match (field, merge_keys(name)) {
            (Value::Array(elements), Some(keys)) => keyed_elements(elements, keys),
            // Atomic structures count as one field.
            (_, None) if name == "fieldRef" => json!({}),
            // The top-level sections are structures, which nobody claims as such.
            _ => field_set(field, !matches!(name.as_str(), "metadata" | "spec" | "status")),
        };
        tree.insert(format!("f:{name}"), owned);
    }
    Value::Object(tree)
}

/// The FieldsV1 tree of a list that server-side apply merges by key.
fn keyed_elements(elements: &[Value], keys: &[&str]) -> Value {
    let mut tree = Map::new();
    tree.insert(".".to_owned(), json!({}));
    for element in elements {
        let key: Map<String, Value> = keys
            .iter()
            .filter_map(|&key| Some((key.to_owned(), element.get(key)?.clone())))
            .collect();
        tree.insert(format!("k:{}", Value::Object(key)), field_set(element, true));
    }
    Value::Object(tree)
}

/// What identifies an element of the list in field `name`; lists not named here are atomic.
fn merge_keys(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "containers" | "env" | "volumes" => &["name"],
        "conditions" => &["type"],
        "volumeMounts" => &["mountPath"],
        "podIPs" | "hostIPs" => &["ip"],
        "ownerReferences" => &["uid"],
        "ports" => &["containerPort", "port", "protocol"],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_claimed_by_key() {
        let owned = json!({"spec": {"containers": [{"name": "web", "env": []}], "args": [1]}});
        assert_eq!(
            field_set(&owned, false),
            json!({"f:spec": {
                "f:containers": {
                    ".": {},
                    "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:env": {".": {}}},
                },
                "f:args": {},
            }})
        );
    }
}
