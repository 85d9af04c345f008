//! Tables: objects as rows of printed columns, which is how `kubectl get` asks for them.

use serde_json::{Value, json};

use crate::resource::describe;
use crate::simulation::Resource;

use super::format::write_metadata;
use super::params::IncludeObject;

mod age;
mod cluster;
mod pod;
mod service;

/// A column: its name, its type's format, and 1 when only `-o wide` shows it.
type Column = (&'static str, &'static str, u8);

/// Opens a table; its rows follow, then [`write_end`].
pub(crate) fn write_start(resource: Resource, metadata: &Value, columns: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":");
    out.extend_from_slice(metadata.to_string().as_bytes());
    out.extend_from_slice(b",\"columnDefinitions\":");
    let definitions = if columns { definitions(resource) } else { Value::Null };
    out.extend_from_slice(definitions.to_string().as_bytes());
    out.extend_from_slice(b",\"rows\":[");
}

/// Closes a table.
pub(crate) fn write_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"]}");
}

/// Writes the row of an object.
pub(crate) fn write_row(
    resource: Resource,
    json: &[u8],
    include: IncludeObject,
    out: &mut Vec<u8>,
) {
    // The bytes are the server's own serialisation: they always parse.
    let object: Value = serde_json::from_slice(json).unwrap_or_default();
    out.extend_from_slice(b"{\"cells\":");
    out.extend_from_slice(Value::Array(cells(resource, &object)).to_string().as_bytes());
    out.extend_from_slice(b",\"object\":");
    match include {
        IncludeObject::Nothing => out.extend_from_slice(b"null"),
        IncludeObject::Metadata => write_metadata(json, out),
        IncludeObject::Object => out.extend_from_slice(json),
    }
    out.push(b'}');
}

fn columns(resource: Resource) -> &'static [Column] {
    match resource {
        Resource::Pods => pod::COLUMNS,
        Resource::Nodes => cluster::NODE_COLUMNS,
        Resource::Services => service::COLUMNS,
        Resource::EndpointSlices => service::SLICE_COLUMNS,
        Resource::ConfigMaps => cluster::CONFIG_MAP_COLUMNS,
        Resource::Namespaces => cluster::NAMESPACE_COLUMNS,
    }
}

fn cells(resource: Resource, object: &Value) -> Vec<Value> {
    match resource {
        Resource::Pods => pod::cells(object),
        Resource::Nodes => cluster::node_cells(object),
        Resource::Services => service::cells(object),
        Resource::EndpointSlices => service::slice_cells(object),
        Resource::ConfigMaps => cluster::config_map_cells(object),
        Resource::Namespaces => cluster::namespace_cells(object),
    }
}

fn definitions(resource: Resource) -> Value {
    let description = describe(resource);
    columns(resource)
        .iter()
        .map(|(name, kind, priority)| {
            // "name" is a format of strings: it marks the column that names the row.
            let (kind, format) = if *kind == "name" { ("string", "name") } else { (*kind, "") };
            json!({
                "name": name, "type": kind, "format": format, "priority": priority,
                "description": format!("{name} of the {}", description.kind),
            })
        })
        .collect()
}

/// The text at `pointer`, or empty.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The text at `pointer`, or what kubectl shows when there is none.
fn text_or_none<'a>(object: &'a Value, pointer: &str) -> &'a str {
    match text(object, pointer) {
        "" => "<none>",
        text => text,
    }
}

/// The elements at `pointer`; none when there is no array.
fn array<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
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
