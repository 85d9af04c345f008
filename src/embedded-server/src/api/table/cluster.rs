//! The columns of Nodes, Namespaces and ConfigMaps.

use serde_json::Value;

use super::{Column, age, array, name, or_none, text, text_or_none};

pub(super) const NODE_COLUMNS: &[Column] = &[
    ("Name", "name", 0),
    ("Status", "string", 0),
    ("Roles", "string", 0),
    ("Age", "string", 0),
    ("Version", "string", 0),
    ("Internal-IP", "string", 1),
    ("External-IP", "string", 1),
    ("OS-Image", "string", 1),
    ("Kernel-Version", "string", 1),
    ("Container-Runtime", "string", 1),
];

pub(super) fn node_cells(node: &Value) -> Vec<Value> {
    let unknown = |pointer: &str| match text(node, pointer) {
        "" => "<unknown>",
        text => text,
    };
    vec![
        name(node),
        node_status(node).into(),
        or_none(roles(node)),
        age(node),
        text(node, "/status/nodeInfo/kubeletVersion").into(),
        node_address(node, "InternalIP").into(),
        node_address(node, "ExternalIP").into(),
        unknown("/status/nodeInfo/osImage").into(),
        unknown("/status/nodeInfo/kernelVersion").into(),
        unknown("/status/nodeInfo/containerRuntimeVersion").into(),
    ]
}

fn node_status(node: &Value) -> String {
    let ready =
        array(node, "/status/conditions").iter().find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|condition| text(condition, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn roles(node: &Value) -> String {
    let Some(labels) = node.pointer("/metadata/labels").and_then(Value::as_object) else {
        return String::new();
    };
    let roles: Vec<&str> = labels
        .keys()
        .filter_map(|label| label.strip_prefix("node-role.kubernetes.io/"))
        .filter(|role| !role.is_empty())
        .collect();
    roles.join(",")
}

fn node_address<'a>(node: &'a Value, kind: &str) -> &'a str {
    array(node, "/status/addresses")
        .iter()
        .find(|address| address["type"] == kind)
        .map_or("<none>", |address| text_or_none(address, "/address"))
}

pub(super) const NAMESPACE_COLUMNS: &[Column] =
    &[("Name", "name", 0), ("Status", "string", 0), ("Age", "string", 0)];

pub(super) fn namespace_cells(namespace: &Value) -> Vec<Value> {
    vec![name(namespace), text(namespace, "/status/phase").into(), age(namespace)]
}

pub(super) const CONFIG_MAP_COLUMNS: &[Column] =
    &[("Name", "name", 0), ("Data", "integer", 0), ("Age", "string", 0)];

pub(super) fn config_map_cells(config_map: &Value) -> Vec<Value> {
    let count = |field: &str| config_map[field].as_object().map_or(0, serde_json::Map::len);
    vec![name(config_map), (count("data") + count("binaryData")).into(), age(config_map)]
}

pub(super) const LEASE_COLUMNS: &[Column] =
    &[("Name", "name", 0), ("Holder", "string", 0), ("Age", "string", 0)];

pub(super) fn lease_cells(lease: &Value) -> Vec<Value> {
    vec![name(lease), text(lease, "/spec/holderIdentity").into(), age(lease)]
}

pub(super) const DEFINITION_COLUMNS: &[Column] = &[("Name", "name", 0), ("Created At", "date", 0)];

pub(super) fn definition_cells(definition: &Value) -> Vec<Value> {
    vec![name(definition), text(definition, "/metadata/creationTimestamp").into()]
}
