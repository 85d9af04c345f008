//! How the lists and maps of an object are merged.
//!
//! The API's types carry this as `patchMergeKey` and `x-kubernetes-list-type`. This file has the part of
//! it that objects of the served resources need; any other list is atomic.

use serde_json::Value;

use crate::resource::{Definition, ListType, ValueType};

/// What is known about a part of an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    /// A part of an object of a built-in type, or the metadata of any object.
    Builtin,
    /// The whole of a custom resource's object.
    Root(ValueType<'a>),
    /// A part of one; `None` where its schema does not cover it.
    Custom(Option<ValueType<'a>>),
}

/// The key of a list's element: the values of these fields, as the element has them.
pub(super) type ElementKey = Vec<(String, Value)>;

impl<'a> Shape<'a> {
    pub(super) fn of(definition: &'a Definition) -> Shape<'a> {
        definition.schema().map_or(Shape::Builtin, |schema| Shape::Root(schema.root()))
    }

    pub(super) fn field(self, name: &str) -> Shape<'a> {
        match self {
            Shape::Builtin => Shape::Builtin,
            Shape::Root(_) if name == "metadata" => Shape::Builtin,
            Shape::Root(root) => Shape::Custom(root.field(name)),
            Shape::Custom(part) => Shape::Custom(part.and_then(|part| part.field(name))),
        }
    }

    pub(super) fn items(self) -> Shape<'a> {
        match self {
            Shape::Builtin => Shape::Builtin,
            Shape::Root(list) | Shape::Custom(Some(list)) => Shape::Custom(list.items()),
            Shape::Custom(None) => self,
        }
    }

    /// The type of the list in field `name`, of which this is the shape.
    pub(super) fn list_type(self, name: &str, elements: &[Value]) -> ListType {
        match self {
            Shape::Builtin => builtin_list(name, elements),
            Shape::Root(list) | Shape::Custom(Some(list)) => list.list_type(),
            Shape::Custom(None) => ListType::Atomic,
        }
    }

    /// Returns whether the map or structure in field `name`, of which this is the shape, is one value.
    pub(super) fn is_atomic(self, name: &str) -> bool {
        match self {
            Shape::Builtin => matches!(
                name,
                "selector"
                    | "fieldRef"
                    | "resourceFieldRef"
                    | "configMapKeyRef"
                    | "secretKeyRef"
                    | "involvedObject"
                    | "targetRef"
                    | "nodeSelector"
            ),
            Shape::Root(part) | Shape::Custom(Some(part)) => part.is_atomic(),
            Shape::Custom(None) => false,
        }
    }
}

fn builtin_list(name: &str, elements: &[Value]) -> ListType {
    let keys: &[&str] = match name {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" | "podIPs" | "hostIPs" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        "conditions" | "addresses" => &["type"],
        "ownerReferences" => &["uid"],
        // Of a container, and of a Service or an EndpointSlice.
        "ports" if elements.iter().any(|port| port.get("containerPort").is_some()) => {
            &["containerPort", "protocol"]
        }
        "ports" => &["port", "protocol"],
        "finalizers" => return ListType::Set,
        _ => return ListType::Atomic,
    };
    // The addresses of an endpoint are plain text.
    if elements.iter().any(|element| !element.is_object()) {
        return ListType::Atomic;
    }
    ListType::Map(keys.iter().map(|key| (*key).to_owned()).collect())
}

/// The key of an element.
pub(super) fn element_key(keys: &[String], element: &Value) -> ElementKey {
    let value_of = |key: &String| match element.get(key) {
        Some(value) => Some(value.clone()),
        // The default of the only key that has one.
        None if key == "protocol" => Some("TCP".into()),
        None => None,
    };
    keys.iter().filter_map(|key| Some((key.clone(), value_of(key)?))).collect()
}

/// The place of the element with a key.
pub(super) fn position(keys: &[String], list: &[Value], key: &ElementKey) -> Option<usize> {
    list.iter().position(|element| element_key(keys, element) == *key)
}
