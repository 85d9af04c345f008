//! One version of one object: serialised once, then only copied.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::message::Message;
use super::packed::Packed;
use crate::object::text;
use crate::resource::Definition;

/// The author of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Only the simulation.
    Simulation,
    /// The simulation, and then a client changed it.
    Touched,
    /// A client, or a controller on behalf of one.
    Client,
}

/// The content of an object, without its key and its resourceVersion.
///
/// The JSON is kept from after the resourceVersion on: the type is the resource's, in the version that is
/// asked for, and a DELETED event carries the last state at the version of the deletion. So one text
/// serves them all, and is never copied to be kept.
#[derive(Debug)]
pub(crate) struct Content {
    origin: Origin,
    labels: Labels,
    /// The values of the resource's selectable fields, in its order.
    fields: Box<[Box<str>]>,
    /// For example `,"name":"web","namespace":"default"},"spec":{},"status":{}}`.
    rest: Packed,
}

/// One version of an object.
#[derive(Debug)]
pub(crate) struct Entry {
    /// `namespace/name`, or `name`. Shared by all versions of an object.
    key: Arc<str>,
    pub(crate) version: u64,
    content: Content,
    /// It in protobuf, once somebody has asked for that.
    message: OnceLock<Arc<Message>>,
}

impl Content {
    /// Serialises an object; its resourceVersion is left out.
    pub(crate) fn new(definition: &Definition, object: &Value, origin: Origin) -> Content {
        let renamed = definition.renamed;
        let object = &*renamed.stored(object);
        let fields = definition.selectable.iter();
        let fields = fields.map(|field| selectable(object, &renamed.stored_path(field)));
        Content {
            origin,
            labels: Labels::of(object),
            fields: fields.collect(),
            rest: definition.dictionary.pack(&serialise(object)),
        }
    }

    pub(crate) fn at(self, key: Arc<str>, version: u64) -> Entry {
        Entry { key, version, content: self, message: OnceLock::new() }
    }

    /// Returns whether it is the same except for the version.
    pub(crate) fn is_of(&self, entry: &Entry) -> bool {
        self.rest.is(&entry.content.rest)
    }
}

impl Entry {
    pub(crate) fn key(&self) -> &Arc<str> {
        &self.key
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.key.split_once('/').map(|(namespace, _)| namespace)
    }

    pub(crate) fn name(&self) -> &str {
        self.key.split_once('/').map_or(&self.key, |(_, name)| name)
    }

    pub(crate) fn origin(&self) -> Origin {
        self.content.origin
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.content.labels.get(name)
    }

    /// The value of the selectable field in this place.
    pub(crate) fn field(&self, place: usize) -> &str {
        self.content.fields.get(place).map_or("", |value| value)
    }

    /// Its approximate size in memory.
    pub(crate) fn bytes(&self) -> usize {
        const OVERHEAD: usize = size_of::<Entry>() + 64;
        let message = self.message.get().map_or(0, |message| message.bytes());
        OVERHEAD + self.content.rest.bytes() + self.content.labels.0.len() + message
    }

    pub(super) fn message(&self) -> Option<&Arc<Message>> {
        self.message.get()
    }

    /// Keeps its message, with which it grows: what is counted of it must not change meanwhile.
    pub(super) fn keep(&self, message: Arc<Message>) {
        // If there is one already, it is the same.
        let _ = self.message.set(message);
    }

    /// The approximate length of its JSON.
    pub(crate) fn json_len(&self) -> usize {
        self.content.rest.len() + 100
    }

    /// Writes the whole object, as of `version`.
    pub(crate) fn write_at(&self, version: u64, definition: &Definition, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"kind\":\"");
        out.extend_from_slice(definition.kind.as_bytes());
        out.extend_from_slice(b"\",\"apiVersion\":\"");
        if !definition.group.is_empty() {
            out.extend_from_slice(definition.group.as_bytes());
            out.push(b'/');
        }
        out.extend_from_slice(definition.version.as_bytes());
        out.extend_from_slice(b"\",");
        self.write_from_metadata(version, definition, out);
    }

    /// Writes the object as an item of a list, whose own kind implies that of its items. The items of a
    /// list of custom resources still carry theirs, as the real server's do.
    pub(crate) fn write_item(&self, definition: &Definition, out: &mut Vec<u8>) {
        if definition.is_custom() {
            return self.write_at(self.version, definition, out);
        }
        out.push(b'{');
        self.write_from_metadata(self.version, definition, out);
    }

    fn write_from_metadata(&self, version: u64, definition: &Definition, out: &mut Vec<u8>) {
        if definition.renamed.is_empty() {
            return self.write_stored(version, out);
        }
        let mut stored = b"{".to_vec();
        self.write_stored(version, &mut stored);
        let object = serde_json::from_slice(&stored).unwrap_or_else(|error| {
            unreachable!("it was serialised here, and is not deep: {error}")
        });
        let shown = definition.renamed.shown(object).to_string();
        out.extend(shown.into_bytes().into_iter().skip(1));
    }

    fn write_stored(&self, version: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"metadata\":{\"resourceVersion\":\"");
        out.extend_from_slice(version.to_string().as_bytes());
        out.push(b'"');
        self.content.rest.write(out);
    }

    /// The whole object as JSON.
    pub(crate) fn json(&self, definition: &Definition) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.json_len());
        self.write_at(self.version, definition, &mut out);
        out
    }

    /// The whole object as a tree.
    pub(crate) fn value(&self, definition: &Definition) -> Value {
        serde_json::from_slice(&self.json(definition)).unwrap_or_else(|error| {
            unreachable!("it was serialised here, and is not deep: {error}")
        })
    }
}

/// Labels in one piece: names and values in turn, each with a zero byte behind it, which none of
/// them may hold.
#[derive(Debug)]
struct Labels(Box<str>);

impl Labels {
    fn of(object: &Value) -> Labels {
        let mut all = String::new();
        for (name, value) in crate::object::fields(object, "/metadata/labels") {
            for part in [name, value.as_str().unwrap_or_default()] {
                all.push_str(part);
                all.push('\0');
            }
        }
        Labels(all.into())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut parts = self.0.split_terminator('\0');
        while let (Some(label), Some(value)) = (parts.next(), parts.next()) {
            if label == name {
                return Some(value);
            }
        }
        None
    }
}

fn selectable(object: &Value, field: &str) -> Box<str> {
    let value = match field {
        // An event names its source in one of two places.
        "source" => match text(object, "/source/component") {
            "" => return text(object, "/reportingComponent").into(),
            component => return component.into(),
        },
        "spec.unschedulable" => {
            let unschedulable = object.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
            return unschedulable.to_string().into();
        }
        _ => object.pointer(&format!("/{}", field.replace('.', "/"))),
    };
    match value {
        Some(Value::String(text)) => text.as_str().into(),
        Some(Value::Null) | None => "".into(),
        Some(other) => other.to_string().into(),
    }
}

/// The JSON from behind `{.."metadata":{"resourceVersion":"1"` on.
fn serialise(object: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(8192);
    let empty = Map::new();
    let fields = object.as_object().unwrap_or(&empty);
    let metadata = fields.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    for (name, value) in metadata.iter().filter(|(name, _)| *name != "resourceVersion") {
        write_field(&mut out, name, value);
    }
    out.push(b'}');
    let head = ["kind", "apiVersion", "metadata"];
    for (name, value) in fields.iter().filter(|(name, _)| !head.contains(&name.as_str())) {
        write_field(&mut out, name, value);
    }
    out.push(b'}');
    out
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &Value) {
    out.push(b',');
    // Writing a string or a Value into a Vec cannot fail: neither the writer nor the value can.
    let _ = serde_json::to_writer(&mut *out, name);
    out.push(b':');
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{self, CONFIG_MAPS};
    use serde_json::json;

    #[test]
    fn only_the_version_differs() {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": {"app": "x", "b": ""}, "resourceVersion": "7"},
            "data": {"metadata": "\"resourceVersion\":\"1\""},
        });
        let definition = &resource::builtins()[CONFIG_MAPS.0];
        let entry = Content::new(definition, &object, Origin::Client).at("ns/a".into(), 9);
        let mut out = Vec::new();
        entry.write_at(1234, definition, &mut out);
        let mut parsed: Value = serde_json::from_slice(&out).expect("valid JSON");
        assert_eq!(parsed["metadata"]["resourceVersion"], "1234");
        parsed["metadata"]["resourceVersion"] = "7".into();
        assert_eq!(parsed, object);

        let mut item = Vec::new();
        entry.write_item(definition, &mut item);
        let item: Value = serde_json::from_slice(&item).expect("valid JSON");
        assert!(item.get("kind").is_none() && item.get("apiVersion").is_none());
        assert_eq!(item["metadata"]["resourceVersion"], "9");
        assert_eq!(item["data"], object["data"]);
        assert_eq!((entry.label("app"), entry.label("b")), (Some("x"), Some("")));
        assert_eq!((entry.label("x"), entry.namespace(), entry.name()), (None, Some("ns"), "a"));
    }
}
