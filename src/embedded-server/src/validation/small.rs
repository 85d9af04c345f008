//! Kinds with little to be wrong about: ConfigMaps, Nodes and Leases.

use serde_json::Value;

use super::causes::Causes;
use super::names;
use crate::object::{array, fields, text};

/// The most that a ConfigMap holds.
const LARGEST: usize = 1 << 20;

pub(super) fn config_map(config_map: &Value, causes: &mut Causes) {
    let mut bytes = 0;
    for part in ["data", "binaryData"] {
        for (key, value) in fields(config_map, &format!("/{part}")) {
            if let Err(why) = names::config_key(key) {
                causes.invalid(format!("{part}[{key}]"), &key.as_str().into(), why);
            }
            bytes += value.as_str().map_or(0, str::len);
        }
    }
    for (key, _) in fields(config_map, "/data") {
        if config_map.pointer("/binaryData").is_some_and(|binary| binary.get(key).is_some()) {
            causes.invalid(
                format!("data[{key}]"),
                &key.as_str().into(),
                "duplicate of key present in binaryData",
            );
        }
    }
    if bytes > LARGEST {
        causes.too_long("", LARGEST);
    }
}

pub(super) fn config_map_update(new: &Value, old: &Value, causes: &mut Causes) {
    if old["immutable"] == true {
        for field in ["immutable", "data", "binaryData"] {
            if new.get(field) != old.get(field) {
                causes.forbidden(field, "field is immutable when `immutable` is set");
            }
        }
    }
}

pub(super) fn node(node: &Value, causes: &mut Causes) {
    for (place, taint) in array(node, "/spec/taints").iter().enumerate() {
        let path = format!("spec.taints[{place}]");
        if let Err(why) = names::qualified(text(taint, "/key")) {
            causes.invalid(format!("{path}.key"), &taint["key"], why);
        }
        let supported = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        causes.one_of(&format!("{path}.effect"), &taint["effect"], &supported);
    }
}

pub(super) fn lease(lease: &Value, causes: &mut Causes) {
    let seconds = &lease["spec"]["leaseDurationSeconds"];
    if seconds.as_i64().is_some_and(|seconds| seconds <= 0) {
        causes.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
    }
    causes.not_negative(lease, "/spec/leaseTransitions", "spec.leaseTransitions");
}
