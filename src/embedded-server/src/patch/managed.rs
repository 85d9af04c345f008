//! `metadata.managedFields`: the owners of fields.

use serde_json::{Value, json};

use super::field_set::FieldSet;
use super::shape::Shape;
use crate::object::{array, metadata, text};
use crate::resource::Definition;
use crate::time;

/// The author of a change, and how it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manager<'a> {
    pub(crate) name: &'a str,
    pub(crate) subresource: Option<&'a str>,
}

/// The fields that one manager owns.
#[derive(Debug, Clone)]
pub(super) struct Managed {
    pub(super) manager: String,
    pub(super) is_apply: bool,
    pub(super) fields: FieldSet,
    /// The entry as it was read.
    entry: Value,
}

impl Managed {
    pub(super) fn new(manager: Manager<'_>, is_apply: bool, definition: &Definition) -> Managed {
        let mut entry = json!({
            "manager": manager.name,
            "operation": if is_apply { "Apply" } else { "Update" },
            "apiVersion": definition.api_version(),
            "fieldsType": "FieldsV1",
        });
        if let Some(subresource) = manager.subresource {
            entry["subresource"] = subresource.into();
        }
        Managed { manager: manager.name.to_owned(), is_apply, fields: FieldSet::default(), entry }
    }

    pub(super) fn is_of(&self, manager: Manager<'_>, is_apply: bool) -> bool {
        self.manager == manager.name
            && self.is_apply == is_apply
            && self.entry.get("subresource").and_then(Value::as_str) == manager.subresource
    }

    /// It changes now.
    pub(super) fn touch(&mut self) {
        self.entry["time"] = time::rfc3339(time::now()).into();
    }
}

/// The managers recorded in an object.
pub(super) fn read(object: &Value) -> Vec<Managed> {
    array(object, "/metadata/managedFields")
        .iter()
        .map(|entry| Managed {
            manager: text(entry, "/manager").to_owned(),
            is_apply: text(entry, "/operation") == "Apply",
            fields: FieldSet::from_json(&entry["fieldsV1"]),
            entry: entry.clone(),
        })
        .collect()
}

/// Writes the managers into an object, except those that own nothing.
pub(super) fn write(object: &mut Value, managers: Vec<Managed>) {
    let owning = managers.into_iter().filter(|one| !one.fields.is_empty());
    let entries: Vec<Value> = owning
        .map(|mut one| {
            one.entry["fieldsV1"] = one.fields.to_json();
            one.entry
        })
        .collect();
    let metadata = metadata(object);
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), entries.into());
    }
}

/// An object without the fields that no manager owns: its type, its name, and what the server writes.
pub(super) fn ownable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Value::Object(fields) = &mut object {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "selfLink",
        "managedFields",
    ] {
        metadata(&mut object).remove(field);
    }
    if let Value::Object(fields) = &mut object
        && fields.get("metadata").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
    {
        fields.remove("metadata");
    }
    object
}

/// An update by other means than apply: a manager that changed a field is now its only owner.
pub(crate) fn updated(
    definition: &Definition,
    old: Option<&Value>,
    new: &mut Value,
    manager: Manager<'_>,
) {
    let shape = Shape::of(definition);
    let empty = json!({});
    let (before, after) = (old.map(ownable), ownable(new));
    let before = before.as_ref().unwrap_or(&empty);
    let changed = FieldSet::changed(before, &after, shape);
    let mut gone = FieldSet::of(before, shape);
    gone.subtract(&FieldSet::of(&after, shape));
    let mut managers = old.map(read).unwrap_or_default();
    for one in &mut managers {
        one.fields.subtract(&gone);
        if !one.is_of(manager, false) {
            one.fields.subtract(&changed);
        }
    }
    if !changed.is_empty() {
        if !managers.iter().any(|one| one.is_of(manager, false)) {
            managers.push(Managed::new(manager, false, definition));
        }
        for one in managers.iter_mut().filter(|one| one.is_of(manager, false)) {
            one.fields.union(&changed);
            one.touch();
        }
    }
    write(new, managers);
}
