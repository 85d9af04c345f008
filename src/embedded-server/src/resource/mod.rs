//! The API's description of each resource: its names, its group, its scope, its operations.

mod builtin;
mod custom;
mod learn;
mod registry;
mod renamed;
mod schema;

use std::borrow::Cow;
use std::cell::RefCell;

use serde_json::Value;

use crate::storage::Dictionary;

pub(crate) use builtin::all as builtins;
pub(crate) use custom::definitions as of_custom_resource;
pub(crate) use learn::Learnt;
pub(crate) use registry::Registry;
pub(crate) use renamed::Renamed;
pub(crate) use schema::{ListType, Schema, ValueType};

/// The place of a resource's objects in the storage. All versions of a resource share it, and all groups
/// that serve it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ResourceId(pub(crate) usize);

pub(crate) const PODS: ResourceId = ResourceId(0);
pub(crate) const NODES: ResourceId = ResourceId(1);
pub(crate) const SERVICES: ResourceId = ResourceId(2);
pub(crate) const ENDPOINT_SLICES: ResourceId = ResourceId(3);
pub(crate) const CONFIG_MAPS: ResourceId = ResourceId(4);
pub(crate) const NAMESPACES: ResourceId = ResourceId(5);
pub(crate) const EVENTS: ResourceId = ResourceId(6);
pub(crate) const LEASES: ResourceId = ResourceId(7);
pub(crate) const DEPLOYMENTS: ResourceId = ResourceId(8);
pub(crate) const REPLICA_SETS: ResourceId = ResourceId(9);
pub(crate) const CUSTOM_RESOURCE_DEFINITIONS: ResourceId = ResourceId(10);

type Text = Cow<'static, str>;

/// One resource in one version, as discovery describes it.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) id: ResourceId,
    /// Empty for the core group.
    pub(crate) group: Text,
    pub(crate) version: Text,
    pub(crate) plural: Text,
    pub(crate) singular: Text,
    pub(crate) kind: Text,
    pub(crate) list_kind: Text,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<Text>,
    pub(crate) categories: Vec<Text>,
    /// The fields that a field selector may name beside the object's name and namespace. Those of a
    /// stored object are kept in this order.
    pub(crate) selectable: &'static [&'static str],
    /// The names of its fields where its objects are stored.
    pub(crate) renamed: Renamed,
    pub(crate) has_status: bool,
    /// Whether a replacement may omit the version that it replaces.
    pub(crate) unconditional_update: bool,
    pub(crate) scale: Option<Scale>,
    pub(crate) types: Types,
    /// The dictionary that the stored objects are packed with.
    pub(crate) dictionary: Dictionary,
    /// The same for their messages in protobuf.
    pub(crate) messages: Dictionary,
}

/// Where the numbers of a `scale` subresource lie in the object, as JSON pointers.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    pub(crate) spec_replicas: Text,
    pub(crate) status_replicas: Text,
    /// A label selector, as text or as an object.
    pub(crate) selector: Option<Text>,
}

/// How the resource's objects are parsed.
#[derive(Debug)]
pub(crate) enum Types {
    /// By a type of the API: reading an object by it and writing it again drops what the type does
    /// not know.
    Builtin {
        through: fn(Value) -> Result<Value, serde_json::Error>,
        /// Learns the type's schema, and returns its name.
        learn: fn(&RefCell<Learnt>) -> String,
    },
    /// By the schema and the printed columns of a CustomResourceDefinition.
    Custom { schema: Schema, columns: Vec<PrinterColumn> },
}

/// A column that a CustomResourceDefinition adds to tables.
#[derive(Debug)]
pub(crate) struct PrinterColumn {
    pub(crate) name: String,
    pub(crate) value_type: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) json_path: String,
}

impl Definition {
    /// `v1` or `group/v1`.
    pub(crate) fn api_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.types, Types::Custom { .. })
    }

    /// The schema of a custom resource's objects.
    pub(crate) fn schema(&self) -> Option<&Schema> {
        match &self.types {
            Types::Builtin { .. } => None,
            Types::Custom { schema, .. } => Some(schema),
        }
    }

    /// Returns whether all of its objects can be deleted at once.
    pub(crate) fn has_delete_collection(&self) -> bool {
        self.id != NAMESPACES
    }

    /// Returns whether its objects count the changes of their spec.
    pub(crate) fn has_generation(&self) -> bool {
        self.is_custom() || matches!(self.id, PODS | DEPLOYMENTS | REPLICA_SETS)
    }
}

/// `version`, or `group/version`.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}
