//! The structural schema of a custom resource, and how lists and maps in it are merged.

use serde_json::Value;

/// A schema in the form of `openAPIV3Schema`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema(Value);

/// How a list is merged and owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListType {
    /// As one value.
    Atomic,
    /// As a set of scalars.
    Set,
    /// By element, identified by these fields.
    Map(Vec<String>),
}

/// A part of a schema that describes one value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ValueType<'a>(&'a Value);

impl Schema {
    /// Without a schema everything is accepted as it is.
    pub(crate) fn new(schema: Option<Value>) -> Schema {
        Schema(schema.unwrap_or_else(|| {
            serde_json::json!({
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            })
        }))
    }

    pub(crate) fn root(&self) -> ValueType<'_> {
        ValueType(&self.0)
    }

    pub(crate) fn as_value(&self) -> &Value {
        &self.0
    }
}

impl<'a> ValueType<'a> {
    /// The type of a field, or of a map's value; `None` if the schema does not cover it.
    pub(crate) fn field(self, name: &str) -> Option<ValueType<'a>> {
        self.property(name).or_else(|| {
            self.0.get("additionalProperties").filter(|all| all.is_object()).map(ValueType)
        })
    }

    /// The type of a field that the schema names.
    pub(crate) fn property(self, name: &str) -> Option<ValueType<'a>> {
        self.0.get("properties")?.get(name).map(ValueType)
    }

    pub(crate) fn properties(self) -> impl Iterator<Item = (&'a str, ValueType<'a>)> {
        let properties = self.0.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, schema)| (name.as_str(), ValueType(schema)))
    }

    pub(crate) fn items(self) -> Option<ValueType<'a>> {
        self.0.get("items").map(ValueType)
    }

    /// `object`, `array`, `string`, `integer`, `number`, `boolean`, or nothing.
    pub(crate) fn name(self) -> Option<&'a str> {
        self.0.get("type")?.as_str()
    }

    pub(crate) fn is(self, extension: &str) -> bool {
        self.0.get(extension) == Some(&Value::Bool(true))
    }

    /// The value of a keyword.
    pub(crate) fn keyword(self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    pub(crate) fn list_type(self) -> ListType {
        let extension = |name: &str| self.0.get(name);
        match extension("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => ListType::Set,
            Some("map") => {
                let keys = extension("x-kubernetes-list-map-keys").and_then(Value::as_array);
                let keys = keys.into_iter().flatten().filter_map(Value::as_str);
                ListType::Map(keys.map(ToOwned::to_owned).collect())
            }
            _ => ListType::Atomic,
        }
    }

    /// Returns whether a map or structure is owned as one value.
    pub(crate) fn is_atomic(self) -> bool {
        self.0.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic")
    }
}
