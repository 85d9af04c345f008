//! Sets of fields, in the form of `fieldsV1`: who owns what.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::shape::{Shape, element_key};
use crate::resource::ListType;

/// A set of paths into an object.
///
/// A step is written as in `fieldsV1`: `f:name` for a field, `k:{..}` for an element of a list with
/// keys, `v:..` for a member of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// Whether the set holds this very path, and not only some below it.
    itself: bool,
    below: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The leaves of a value, and the elements that lists with keys have in it.
    pub(super) fn of(value: &Value, shape: Shape<'_>) -> FieldSet {
        FieldSet::of_field("", value, shape)
    }

    fn of_field(name: &str, value: &Value, shape: Shape<'_>) -> FieldSet {
        let mut set = FieldSet::default();
        match value {
            Value::Object(fields) if !fields.is_empty() && !shape.is_atomic(name) => {
                for (name, value) in fields {
                    let field = FieldSet::of_field(name, value, shape.field(name));
                    set.below.insert(format!("f:{name}"), field);
                }
            }
            Value::Array(elements) if !elements.is_empty() => {
                match shape.list_type(name, elements) {
                    ListType::Atomic => set.itself = true,
                    ListType::Set => {
                        let member = FieldSet { itself: true, ..FieldSet::default() };
                        let members =
                            elements.iter().map(|one| (format!("v:{one}"), member.clone()));
                        set.below.extend(members);
                    }
                    ListType::Map(keys) => {
                        for element in elements {
                            let mut below = FieldSet::of_field("", element, shape.items());
                            below.itself = true;
                            set.below.insert(step(&keys, element), below);
                        }
                    }
                }
            }
            _ => set.itself = true,
        }
        set
    }

    /// The paths at which `new` differs from `old`, as far as they are in `new`.
    pub(super) fn changed(old: &Value, new: &Value, shape: Shape<'_>) -> FieldSet {
        let mut set = FieldSet::of(new, shape);
        set.retain(new, shape, "", &mut |path_new, path| {
            lookup(old, shape, path) != Some(path_new)
        });
        set
    }

    /// Keeps the leaves for which `keep` holds, given the value and the steps to it.
    fn retain(
        &mut self,
        value: &Value,
        shape: Shape<'_>,
        name: &str,
        keep: &mut impl FnMut(&Value, &[String]) -> bool,
    ) {
        fn walk(
            set: &mut FieldSet,
            value: &Value,
            shape: Shape<'_>,
            name: &str,
            path: &mut Vec<String>,
            keep: &mut impl FnMut(&Value, &[String]) -> bool,
        ) {
            set.below.retain(|step, below| {
                let Some((child, child_shape, child_name)) = descend(value, shape, name, step)
                else {
                    return false;
                };
                path.push(step.clone());
                if below.below.is_empty() {
                    below.itself = below.itself && keep(child, path);
                } else {
                    walk(below, child, child_shape, child_name, path, keep);
                    // An element as such is owned with the first of its fields.
                    below.itself = below.itself && !below.below.is_empty();
                }
                path.pop();
                !below.is_empty()
            });
        }
        walk(self, value, shape, name, &mut Vec::new(), keep);
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.itself && self.below.is_empty()
    }

    pub(super) fn union(&mut self, other: &FieldSet) {
        self.itself |= other.itself;
        for (step, below) in &other.below {
            self.below.entry(step.clone()).or_default().union(below);
        }
    }

    pub(super) fn subtract(&mut self, other: &FieldSet) {
        self.itself &= !other.itself;
        self.below.retain(|step, below| {
            if let Some(other) = other.below.get(step) {
                below.subtract(other);
            }
            !below.is_empty()
        });
    }

    pub(super) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut set = FieldSet { itself: self.itself && other.itself, ..FieldSet::default() };
        for (step, below) in &self.below {
            if let Some(other) = other.below.get(step) {
                let both = below.intersection(other);
                if !both.is_empty() {
                    set.below.insert(step.clone(), both);
                }
            }
        }
        set
    }

    /// The leaves, as the steps to them.
    pub(super) fn leaves(&self) -> Vec<Vec<String>> {
        fn walk(set: &FieldSet, path: &mut Vec<String>, leaves: &mut Vec<Vec<String>>) {
            if set.below.is_empty() && set.itself {
                leaves.push(path.clone());
            }
            for (step, below) in &set.below {
                path.push(step.clone());
                walk(below, path, leaves);
                path.pop();
            }
        }
        let mut leaves = Vec::new();
        walk(self, &mut Vec::new(), &mut leaves);
        leaves
    }

    /// Takes what is in the set out of the object. What is left empty by that goes, too.
    pub(super) fn remove_from(&self, object: &mut Value, shape: Shape<'_>) {
        self.remove_below(object, shape, "");
    }

    fn remove_below(&self, value: &mut Value, shape: Shape<'_>, name: &str) {
        match value {
            Value::Object(fields) => {
                for (step, below) in &self.below {
                    let Some(name) = step.strip_prefix("f:") else { continue };
                    let Some(field) = fields.get_mut(name) else { continue };
                    if below.below.is_empty() {
                        fields.remove(name);
                        continue;
                    }
                    below.remove_below(field, shape.field(name), name);
                    let is_empty = match field {
                        Value::Object(fields) => fields.is_empty(),
                        Value::Array(elements) => elements.is_empty(),
                        _ => false,
                    };
                    if is_empty {
                        fields.remove(name);
                    }
                }
            }
            Value::Array(elements) => match shape.list_type(name, elements) {
                ListType::Map(keys) => elements.retain_mut(|element| {
                    let Some(below) = self.below.get(&step(&keys, element)) else { return true };
                    if !below.itself {
                        below.remove_below(element, shape.items(), "");
                    }
                    !below.itself
                }),
                _ => elements.retain(|element| !self.below.contains_key(&format!("v:{element}"))),
            },
            _ => {}
        }
    }

    /// The `fieldsV1` of this set.
    pub(super) fn to_json(&self) -> Value {
        let mut tree = Map::new();
        if self.itself && !self.below.is_empty() {
            tree.insert(".".to_owned(), Value::Object(Map::new()));
        }
        tree.extend(self.below.iter().map(|(step, below)| (step.clone(), below.to_json())));
        Value::Object(tree)
    }

    pub(super) fn from_json(tree: &Value) -> FieldSet {
        let steps = tree.as_object();
        let is_leaf = steps.is_none_or(Map::is_empty);
        let mut set = FieldSet { itself: is_leaf, ..FieldSet::default() };
        for (step, below) in steps.into_iter().flatten() {
            if step == "." {
                set.itself = true;
            } else {
                set.below.insert(step.clone(), FieldSet::from_json(below));
            }
        }
        set
    }
}

fn step(keys: &[String], element: &Value) -> String {
    let key: Map<String, Value> = element_key(keys, element).into_iter().collect();
    format!("k:{}", Value::Object(key))
}

/// The value that lies at the end of the steps.
pub(super) fn lookup<'v>(value: &'v Value, shape: Shape<'_>, path: &[String]) -> Option<&'v Value> {
    let (mut value, mut shape, mut name) = (value, shape, "");
    for step in path {
        (value, shape, name) = descend(value, shape, name, step)?;
    }
    Some(value)
}

/// One step down: the value there, its shape, and the name of the field that it is in.
fn descend<'v, 's, 'n>(
    value: &'v Value,
    shape: Shape<'s>,
    name: &str,
    next: &'n str,
) -> Option<(&'v Value, Shape<'s>, &'n str)> {
    if let Some(field) = next.strip_prefix("f:") {
        return Some((value.get(field)?, shape.field(field), field));
    }
    let elements = value.as_array()?;
    let found = match shape.list_type(name, elements) {
        ListType::Map(keys) => elements.iter().find(|element| step(&keys, element) == next)?,
        _ => elements.iter().find(|element| format!("v:{element}") == next)?,
    };
    Some((found, shape.items(), ""))
}

/// A path as messages write it: `.spec.containers[name="web"].image`.
pub(super) fn display(path: &[String]) -> String {
    let mut text = String::new();
    for step in path {
        if let Some(field) = step.strip_prefix("f:") {
            text.push('.');
            text.push_str(field);
        } else if let Some(key) = step.strip_prefix("k:") {
            let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
            let parts: Vec<_> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
            text.push_str(&format!("[{}]", parts.join(",")));
        } else if let Some(member) = step.strip_prefix("v:") {
            text.push_str(&format!("[={member}]"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_follow_the_lists_keys() {
        let object = json!({
            "metadata": {"labels": {"app": "web"}, "finalizers": ["x/y"]},
            "spec": {"containers": [{"name": "web", "image": "w:1"}], "args": [1, 2]},
        });
        let set = FieldSet::of(&object, Shape::Builtin);
        let tree = json!({
            "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {"v:\"x/y\"": {}}},
            "f:spec": {
                "f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}}},
                "f:args": {},
            },
        });
        assert_eq!(set.to_json(), tree);
        assert_eq!(FieldSet::from_json(&tree), set);
        let shown: Vec<_> = set.leaves().iter().map(|path| display(path)).collect();
        assert!(shown.contains(&".spec.containers[name=\"web\"].image".to_owned()), "{shown:?}");

        let mut object = object;
        let gone = json!({"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}});
        FieldSet::from_json(&gone).remove_from(&mut object, Shape::Builtin);
        assert_eq!(object["spec"]["containers"], json!([{"name": "web"}]));
        set.remove_from(&mut object, Shape::Builtin);
        assert_eq!(object, json!({}));
    }

    #[test]
    fn changes_are_found_by_path() {
        let old = json!({"spec": {"a": 1, "env": [{"name": "x", "value": "1"}]}});
        let new = json!({"spec": {"a": 1, "b": 2, "env": [{"name": "x", "value": "2"}]}});
        let changed = FieldSet::changed(&old, &new, Shape::Builtin);
        assert_eq!(
            changed.to_json(),
            json!({"f:spec": {
                "f:b": {}, "f:env": {"k:{\"name\":\"x\"}": {".": {}, "f:value": {}}},
            }})
        );
        assert!(FieldSet::changed(&new, &new, Shape::Builtin).is_empty());
    }
}
