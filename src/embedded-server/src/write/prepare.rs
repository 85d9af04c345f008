//! The fields of an object that the server writes, and those that it takes from the old one.

use serde_json::{Value, json};

use super::update::Part;
use crate::object::{metadata, section, text};
use crate::resource::{CUSTOM_RESOURCE_DEFINITIONS, Definition, NAMESPACES, PODS, SERVICES};
use crate::time;

/// Fields of the metadata that only the server writes.
const OF_SERVER: [&str; 8] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "selfLink",
    "managedFields",
];

/// Makes an object a new one.
pub(super) fn for_create(definition: &Definition, namespace: Option<&str>, object: &mut Value) {
    let metadata = metadata(object);
    OF_SERVER.iter().for_each(|field| drop(metadata.remove(*field)));
    metadata.insert("uid".to_owned(), uid().into());
    metadata.insert("creationTimestamp".to_owned(), time::rfc3339(time::now()).into());
    match namespace {
        Some(namespace) => metadata.insert("namespace".to_owned(), namespace.into()),
        None => metadata.remove("namespace"),
    };
    if definition.has_generation() || definition.id == CUSTOM_RESOURCE_DEFINITIONS {
        metadata.insert("generation".to_owned(), 1.into());
    }
    if definition.has_status
        && let Value::Object(fields) = object
    {
        fields.remove("status");
    }
    match definition.id {
        PODS => object["status"] = json!({"phase": "Pending", "qosClass": qos_class(object)}),
        NAMESPACES => {
            let name = text(object, "/metadata/name").to_owned();
            section(&mut object["metadata"], "labels")
                .insert("kubernetes.io/metadata.name".to_owned(), name.into());
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        CUSTOM_RESOURCE_DEFINITIONS => {
            crate::object::add_finalizer(object, CLEANUP);
            object["status"] = established(object);
        }
        _ => {}
    }
}

/// Keeps a CustomResourceDefinition until its objects are deleted.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The resource is served as soon as its definition is there.
fn established(crd: &Value) -> Value {
    let now = time::rfc3339(time::now());
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "lastTransitionTime": now,
            "reason": reason, "message": message,
        })
    };
    let versions = crate::object::array(crd, "/spec/versions").iter();
    let stored: Vec<_> = versions
        .filter(|version| version["storage"] == true)
        .map(|version| &version["name"])
        .collect();
    json!({
        "acceptedNames": crd["spec"]["names"],
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": stored,
    })
}

/// Completes `new` with what a change of `part` does not change.
pub(super) fn for_update(definition: &Definition, part: Part, new: &mut Value, old: &Value) {
    if part == Part::Status {
        let status = new.get("status").cloned();
        *new = old.clone();
        set(new, "status", status);
        return;
    }
    let from = metadata(new);
    for field in OF_SERVER.into_iter().chain(["name", "namespace"]) {
        match old["metadata"].get(field) {
            Some(value) => from.insert(field.to_owned(), value.clone()),
            None => from.remove(field),
        };
    }
    if part == Part::Main {
        if definition.has_status {
            set(new, "status", old.get("status").cloned());
        }
        if definition.id == NAMESPACES {
            set(new, "spec", old.get("spec").cloned());
        }
        if definition.id == SERVICES && text(new, "/spec/clusterIP").is_empty() {
            // Assigned once: a client that replaces a Service does not have to know it.
            for field in ["clusterIP", "clusterIPs"] {
                if let Some(address) = old["spec"].get(field) {
                    section(new, "spec").insert(field.to_owned(), address.clone());
                }
            }
        }
        if definition.id == CUSTOM_RESOURCE_DEFINITIONS {
            new["status"]["acceptedNames"] = new["spec"]["names"].clone();
        }
    }
    let counts = definition.has_generation() || definition.id == CUSTOM_RESOURCE_DEFINITIONS;
    // A binding, like other changes by the server itself, does not change what the client wanted.
    if counts && part == Part::Main && wanted(new) != wanted(old) {
        let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1);
        metadata(new).insert("generation".to_owned(), (generation + 1).into());
    }
}

/// The fields whose changes a generation counts: all but metadata and status.
fn wanted(object: &Value) -> Vec<(&String, &Value)> {
    let is_wanted = |name: &str| !matches!(name, "apiVersion" | "kind" | "metadata" | "status");
    crate::object::fields(object, "").filter(|(name, _)| is_wanted(name)).collect()
}

fn set(object: &mut Value, field: &str, value: Option<Value>) {
    if let Value::Object(fields) = object {
        match value {
            Some(value) => fields.insert(field.to_owned(), value),
            None => fields.remove(field),
        };
    }
}

/// A new random uid.
pub(crate) fn uid() -> String {
    crate::simulation::uid(rand::random())
}

/// How a Pod is treated when its node runs short of resources.
fn qos_class(pod: &Value) -> &'static str {
    let resources =
        crate::object::array(pod, "/spec/containers").iter().map(|one| &one["resources"]);
    let is_set = |list: &Value| list.as_object().is_some_and(|list| !list.is_empty());
    let complete = |resources: &Value| {
        ["cpu", "memory"].iter().all(|resource| {
            let limit = &resources["limits"][resource];
            let request = resources["requests"].get(resource).unwrap_or(limit);
            !limit.is_null() && request == limit
        })
    };
    if resources.clone().all(complete) {
        "Guaranteed"
    } else if resources.clone().any(|one| is_set(&one["requests"]) || is_set(&one["limits"])) {
        "Burstable"
    } else {
        "BestEffort"
    }
}
