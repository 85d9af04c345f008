//! Tables: objects as rows of printed columns, which is how `kubectl get` asks for them.

use serde_json::{Value, json};

use crate::object::{array, text};
use crate::resource::{
    CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, Definition, ENDPOINT_SLICES, EVENTS,
    LEASES, NAMESPACES, NODES, PODS, REPLICA_SETS, SERVICES, Types,
};

use super::format::write_metadata;
use super::params::IncludeObject;

mod age;
mod cluster;
mod custom;
mod event;
mod pod;
mod service;
mod workload;

/// A column: its name, its type's format, and 1 when only `-o wide` shows it.
type Column = (&'static str, &'static str, u8);

/// Opens a table; its rows follow, then [`write_end`].
pub(crate) fn write_start(
    definition: &Definition,
    metadata: &Value,
    columns: bool,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":");
    out.extend_from_slice(metadata.to_string().as_bytes());
    out.extend_from_slice(b",\"columnDefinitions\":");
    let definitions = if columns { definitions(definition) } else { Value::Null };
    out.extend_from_slice(definitions.to_string().as_bytes());
    out.extend_from_slice(b",\"rows\":[");
}

/// Closes a table.
pub(crate) fn write_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"]}");
}

/// Writes the row of an object.
pub(crate) fn write_row(
    definition: &Definition,
    json: &[u8],
    include: IncludeObject,
    out: &mut Vec<u8>,
) {
    // The bytes are the server's own serialisation: they always parse.
    let object: Value = serde_json::from_slice(json).unwrap_or_default();
    out.extend_from_slice(b"{\"cells\":");
    out.extend_from_slice(Value::Array(cells(definition, &object)).to_string().as_bytes());
    out.extend_from_slice(b",\"object\":");
    match include {
        IncludeObject::Nothing => out.extend_from_slice(b"null"),
        IncludeObject::Metadata => write_metadata(json, out),
        IncludeObject::Object => out.extend_from_slice(json),
    }
    out.push(b'}');
}

fn columns(definition: &Definition) -> &'static [Column] {
    match definition.id {
        PODS => pod::COLUMNS,
        NODES => cluster::NODE_COLUMNS,
        SERVICES => service::COLUMNS,
        ENDPOINT_SLICES => service::SLICE_COLUMNS,
        CONFIG_MAPS => cluster::CONFIG_MAP_COLUMNS,
        NAMESPACES => cluster::NAMESPACE_COLUMNS,
        EVENTS => event::COLUMNS,
        LEASES => cluster::LEASE_COLUMNS,
        DEPLOYMENTS => workload::DEPLOYMENT_COLUMNS,
        REPLICA_SETS => workload::REPLICA_SET_COLUMNS,
        CUSTOM_RESOURCE_DEFINITIONS => cluster::DEFINITION_COLUMNS,
        _ => &[],
    }
}

fn cells(definition: &Definition, object: &Value) -> Vec<Value> {
    if let Types::Custom { columns, .. } = &definition.types {
        return custom::cells(columns, object);
    }
    match definition.id {
        PODS => pod::cells(object),
        NODES => cluster::node_cells(object),
        SERVICES => service::cells(object),
        ENDPOINT_SLICES => service::slice_cells(object),
        CONFIG_MAPS => cluster::config_map_cells(object),
        NAMESPACES => cluster::namespace_cells(object),
        EVENTS => event::cells(&definition.renamed.stored(object)),
        LEASES => cluster::lease_cells(object),
        DEPLOYMENTS => workload::deployment_cells(object),
        REPLICA_SETS => workload::replica_set_cells(object),
        CUSTOM_RESOURCE_DEFINITIONS => cluster::definition_cells(object),
        _ => Vec::new(),
    }
}

fn definitions(definition: &Definition) -> Value {
    if let Types::Custom { columns, .. } = &definition.types {
        return custom::definitions(columns);
    }
    columns(definition)
        .iter()
        .map(|(name, kind, priority)| {
            // "name" is a format of strings: it marks the column that names the row.
            let (kind, format) = if *kind == "name" { ("string", "name") } else { (*kind, "") };
            json!({
                "name": name, "type": kind, "format": format, "priority": priority,
                "description": format!("{name} of the {}", definition.kind),
            })
        })
        .collect()
}

/// The text at `pointer`, or what kubectl shows when there is none.
fn text_or_none<'a>(object: &'a Value, pointer: &str) -> &'a str {
    match text(object, pointer) {
        "" => "<none>",
        text => text,
    }
}

/// `text`, or `<none>` in place of nothing.
fn or_none(text: String) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn name(object: &Value) -> Value {
    text(object, "/metadata/name").into()
}

fn age(object: &Value) -> Value {
    age::since(text(object, "/metadata/creationTimestamp")).into()
}

/// Labels or a selector by equality: `app=web,tier=front`.
fn equalities(object: &Value, pointer: &str) -> String {
    let shown = crate::object::fields(object, pointer)
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    shown.collect::<Vec<_>>().join(",")
}
