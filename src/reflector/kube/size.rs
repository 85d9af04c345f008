//! The memory that an object of the `kube` crate takes.

use std::any::Any;

use kube::api::{DynamicObject, ObjectMeta};
use kube::core::Resource;
use serde_json::Value;

/// What a map's entry takes beside its content, about: B-trees leave a third of their nodes empty.
const ENTRY: usize = 16;

/// The object itself, and what its metadata keeps behind pointers; all of a `DynamicObject`. What a
/// spec or a status keeps there cannot be seen from here.
pub(super) fn of<K: Resource + 'static>(object: &K) -> usize {
    let dynamic = (object as &dyn Any).downcast_ref::<DynamicObject>();
    size_of::<K>() + metadata(object.meta()) + dynamic.map_or(0, |dynamic| values(&dynamic.data))
}

fn metadata(meta: &ObjectMeta) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
    let texts = [
        &meta.name,
        &meta.namespace,
        &meta.uid,
        &meta.resource_version,
        &meta.generate_name,
        &meta.self_link,
    ];
    let maps = [&meta.labels, &meta.annotations].into_iter().flatten().flatten();
    let fields = meta.managed_fields.iter().flatten().map(|entry| {
        let texts = [&entry.api_version, &entry.fields_type, &entry.manager, &entry.operation];
        size_of_val(entry)
            + texts.into_iter().map(text).sum::<usize>()
            + entry.fields_v1.as_ref().map_or(0, |fields| values(&fields.0))
    });
    let owners = meta.owner_references.iter().flatten().map(|owner| {
        let texts = [&owner.api_version, &owner.kind, &owner.name, &owner.uid];
        size_of_val(owner) + texts.into_iter().map(String::capacity).sum::<usize>()
    });
    let finalizers = meta.finalizers.iter().flatten().map(entry);
    texts.into_iter().map(text).sum::<usize>()
        + maps.map(|(name, value)| entry(name) + entry(value) + ENTRY).sum::<usize>()
        + fields.chain(owners).chain(finalizers).sum::<usize>()
}

fn entry(text: &String) -> usize {
    size_of::<String>() + text.capacity()
}

/// What a value keeps behind pointers. By a list of what is still to be counted, not by recursion:
/// a value that a user made may be nested as deep as memory allows.
fn values(value: &Value) -> usize {
    let mut bytes = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => bytes += text.capacity(),
            Value::Array(list) => {
                bytes += list.capacity() * size_of::<Value>();
                open.extend(list);
            }
            Value::Object(map) => {
                for (name, value) in map {
                    bytes += entry(name) + size_of::<Value>() + ENTRY;
                    open.push(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    bytes
}
