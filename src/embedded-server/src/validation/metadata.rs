//! Checks that apply to all objects.

use serde_json::Value;

use super::causes::Causes;
use super::names;
use crate::object::{array, fields, finalizers, is_deleting, name, text};
use crate::resource::{Definition, NAMESPACES, SERVICES};

/// The most that annotations may take together.
const ANNOTATIONS: usize = 256 << 10;

pub(super) fn new(definition: &Definition, object: &Value, causes: &mut Causes) {
    let metadata = &object["metadata"];
    let check = match definition.id {
        NAMESPACES => names::label,
        SERVICES => names::label_1035,
        _ => names::subdomain,
    };
    if name(object).is_empty() {
        causes.required("metadata.name", "name or generateName is required");
    } else if let Err(why) = check(name(object)) {
        causes.invalid("metadata.name", &metadata["name"], why);
    }
    common(object, causes);
}

pub(super) fn update(new: &Value, old: &Value, causes: &mut Causes) {
    common(new, causes);
    if is_deleting(old) {
        let held: Vec<_> = finalizers(old).collect();
        let added: Vec<_> = finalizers(new).filter(|one| !held.contains(one)).collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            causes.forbidden("metadata.finalizers", &why);
        }
    }
}

fn common(object: &Value, causes: &mut Causes) {
    for (name, value) in fields(object, "/metadata/labels") {
        if let Err(why) = names::qualified(name) {
            causes.invalid("metadata.labels", &name.as_str().into(), why);
        }
        if let Err(why) = names::label_value(value.as_str().unwrap_or_default()) {
            causes.invalid("metadata.labels", value, why);
        }
    }
    let mut bytes = 0;
    for (name, value) in fields(object, "/metadata/annotations") {
        if let Err(why) = names::qualified(&name.to_lowercase()) {
            causes.invalid("metadata.annotations", &name.as_str().into(), why);
        }
        bytes += name.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > ANNOTATIONS {
        causes.too_long("metadata.annotations", ANNOTATIONS);
    }
    for finalizer in array(object, "/metadata/finalizers") {
        if let Err(why) = names::qualified(finalizer.as_str().unwrap_or_default()) {
            causes.invalid("metadata.finalizers", finalizer, why);
        }
    }
    for (place, owner) in array(object, "/metadata/ownerReferences").iter().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, &format!("/{field}")).is_empty() {
                causes.required(
                    format!("metadata.ownerReferences[{place}].{field}"),
                    "must not be empty",
                );
            }
        }
    }
    let controllers = array(object, "/metadata/ownerReferences")
        .iter()
        .filter(|owner| owner["controller"] == true);
    if controllers.count() > 1 {
        let why = "Only one reference can have Controller set to true";
        causes.invalid("metadata.ownerReferences", &object["metadata"]["ownerReferences"], why);
    }
}
