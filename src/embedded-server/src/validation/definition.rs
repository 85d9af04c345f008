//! CustomResourceDefinitions.

use serde_json::Value;

use super::causes::Causes;
use super::names;
use crate::object::{array, name, text};

pub(super) fn new(crd: &Value, causes: &mut Causes) {
    for (pointer, field) in [
        ("/spec/group", "spec.group"),
        ("/spec/names/plural", "spec.names.plural"),
        ("/spec/names/kind", "spec.names.kind"),
    ] {
        if text(crd, pointer).is_empty() {
            causes.required(field, "");
        }
    }
    let group = text(crd, "/spec/group");
    if !group.is_empty() {
        if let Err(why) = names::subdomain(group) {
            causes.invalid("spec.group", &group.into(), why);
        } else if !group.contains('.') {
            causes.invalid("spec.group", &group.into(), "should be a domain with at least one dot");
        }
    }
    let wanted = format!("{}.{group}", text(crd, "/spec/names/plural"));
    if name(crd) != wanted {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.invalid("metadata.name", &name(crd).into(), why);
    }
    if let Err(why) = names::label_1035(text(crd, "/spec/names/plural")) {
        causes.invalid("spec.names.plural", &crd["spec"]["names"]["plural"], why);
    }
    causes.one_of("spec.scope", &crd["spec"]["scope"], &["Cluster", "Namespaced"]);
    versions(array(crd, "/spec/versions"), causes);
}

fn versions(versions: &[Value], causes: &mut Causes) {
    if versions.is_empty() {
        causes.required("spec.versions", "must have at least one version");
        return;
    }
    let mut seen = Vec::new();
    for (place, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{place}]");
        let name = text(version, "/name");
        if let Err(why) = names::label_1035(name) {
            causes.invalid(format!("{path}.name"), &name.into(), why);
        }
        if seen.contains(&name) {
            causes.duplicate(format!("{path}.name"), &name.into());
        }
        seen.push(name);
        match version.pointer("/schema/openAPIV3Schema") {
            None => {
                causes.required(format!("{path}.schema.openAPIV3Schema"), "schemas are required")
            }
            Some(schema) if schema["type"] != "object" => {
                causes.invalid(
                    format!("{path}.schema.openAPIV3Schema.type"),
                    &schema["type"],
                    "must be object at the root",
                );
            }
            Some(_) => {}
        }
    }
    let stored = versions.iter().filter(|version| version["storage"] == true).count();
    if stored != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.invalid("spec.versions", &Value::Array(versions.to_vec()), why);
    }
}

pub(super) fn update(new: &Value, old: &Value, causes: &mut Causes) {
    causes.immutable(new, old, "/spec/group", "spec.group");
    causes.immutable(new, old, "/spec/names/plural", "spec.names.plural");
    causes.immutable(new, old, "/spec/scope", "spec.scope");
    causes.immutable(new, old, "/spec/names/kind", "spec.names.kind");
}
