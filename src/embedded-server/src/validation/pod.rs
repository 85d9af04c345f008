//! Pods, and the templates of Pods.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::causes::Causes;
use super::names;
use crate::object::{array, section, text};

pub(super) fn new(pod: &Value, causes: &mut Causes) {
    spec(&pod["spec"], "spec", causes);
}

/// The spec of a Pod or of a template, which lies at `path`.
pub(super) fn spec(spec: &Value, path: &str, causes: &mut Causes) {
    if array(spec, "/containers").is_empty() {
        causes.required(format!("{path}.containers"), "");
    }
    let volumes: HashSet<&str> =
        array(spec, "/volumes").iter().map(|one| text(one, "/name")).collect();
    let mut seen = HashSet::new();
    for list in ["initContainers", "containers"] {
        for (place, container) in array(spec, &format!("/{list}")).iter().enumerate() {
            let path = format!("{path}.{list}[{place}]");
            self::container(container, &path, &volumes, causes);
            let name = text(container, "/name");
            if !name.is_empty() && !seen.insert(name) {
                causes.duplicate(format!("{path}.name"), &name.into());
            }
        }
    }
    for (place, volume) in array(spec, "/volumes").iter().enumerate() {
        named(volume, &format!("{path}.volumes[{place}].name"), causes);
    }
    if let Some(policy) = spec.get("restartPolicy") {
        causes.one_of(&format!("{path}.restartPolicy"), policy, &["Always", "OnFailure", "Never"]);
    }
    if let Some(policy) = spec.get("dnsPolicy") {
        let supported = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
        causes.one_of(&format!("{path}.dnsPolicy"), policy, &supported);
    }
    let grace = "terminationGracePeriodSeconds";
    causes.not_negative(spec, &format!("/{grace}"), &format!("{path}.{grace}"));
    for (place, toleration) in array(spec, "/tolerations").iter().enumerate() {
        let path = format!("{path}.tolerations[{place}]");
        if let Some(operator) = toleration.get("operator").filter(|operator| **operator != "") {
            causes.one_of(&format!("{path}.operator"), operator, &["Equal", "Exists"]);
        }
        if let Some(effect) = toleration.get("effect").filter(|effect| **effect != "") {
            let supported = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            causes.one_of(&format!("{path}.effect"), effect, &supported);
        }
    }
}

fn container(container: &Value, path: &str, volumes: &HashSet<&str>, causes: &mut Causes) {
    named(container, &format!("{path}.name"), causes);
    if text(container, "/image").is_empty() {
        causes.required(format!("{path}.image"), "");
    }
    if let Some(policy) = container.get("imagePullPolicy") {
        let supported = ["Always", "IfNotPresent", "Never"];
        causes.one_of(&format!("{path}.imagePullPolicy"), policy, &supported);
    }
    for (place, port) in array(container, "/ports").iter().enumerate() {
        let path = format!("{path}.ports[{place}]");
        self::port(&port["containerPort"], &format!("{path}.containerPort"), causes);
        if let Some(protocol) = port.get("protocol") {
            causes.one_of(&format!("{path}.protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        }
    }
    for (place, variable) in array(container, "/env").iter().enumerate() {
        if text(variable, "/name").is_empty() {
            causes.required(format!("{path}.env[{place}].name"), "");
        }
    }
    for (place, mount) in array(container, "/volumeMounts").iter().enumerate() {
        let path = format!("{path}.volumeMounts[{place}]");
        if text(mount, "/mountPath").is_empty() {
            causes.required(format!("{path}.mountPath"), "");
        }
        if !volumes.contains(text(mount, "/name")) {
            causes.not_found(format!("{path}.name"), &mount["name"]);
        }
    }
}

/// A name that is a label of a DNS name.
fn named(object: &Value, path: &str, causes: &mut Causes) {
    match text(object, "/name") {
        "" => causes.required(path, ""),
        name => {
            if let Err(why) = names::label(name) {
                causes.invalid(path, &name.into(), why);
            }
        }
    }
}

/// The number of a port.
pub(super) fn port(port: &Value, path: &str, causes: &mut Causes) {
    match port.as_i64() {
        None | Some(0) => causes.required(path, ""),
        Some(1..=65_535) => {}
        Some(_) => causes.invalid(path, port, "must be between 1 and 65535, inclusive"),
    }
}

/// A running Pod takes new images and little else.
pub(super) fn update(new: &Value, old: &Value, causes: &mut Causes) {
    let mut allowed = new["spec"].clone();
    let before = &old["spec"];
    for list in ["containers", "initContainers"] {
        let new = allowed.get_mut(list).and_then(Value::as_array_mut);
        let (Some(new), Some(old)) = (new, before[list].as_array()) else { continue };
        for (new, old) in new.iter_mut().zip(old) {
            new["image"] = old["image"].clone();
        }
    }
    let mut held = json!({ "spec": allowed });
    let fields = section(&mut held, "spec");
    for field in ["activeDeadlineSeconds", "terminationGracePeriodSeconds", "nodeName"] {
        // A node is given once, by a binding.
        if field == "nodeName" && before.get(field).is_some() {
            continue;
        }
        match before.get(field) {
            Some(value) => fields.insert(field.to_owned(), value.clone()),
            None => fields.remove(field),
        };
    }
    // Tolerations may be added.
    let tolerations = |spec: &Value| array(spec, "/tolerations").to_vec();
    if tolerations(before).iter().all(|one| tolerations(&new["spec"]).contains(one))
        && let Some(value) = before.get("tolerations")
    {
        fields.insert("tolerations".to_owned(), value.clone());
    }
    if held["spec"] != *before {
        causes.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        );
    }
}
