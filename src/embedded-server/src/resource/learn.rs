//! The schema of a type, learnt from how it is read.
//!
//! A type asks its deserializer for what it expects: for a structure with these fields, for a list, for a
//! number. So a deserializer without any data can find out the type's structure. It answers with empty
//! values; if the type refuses one, the request is known all the same, and the next reading continues
//! after that place.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value, json};

/// The structures learnt so far, by name.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    structures: BTreeMap<&'static str, Structure>,
    /// The schema of the value that was read last.
    last: Value,
    /// The structures that are being read, outermost first.
    open: Vec<&'static str>,
}

#[derive(Debug)]
struct Structure {
    unread: Vec<&'static str>,
    properties: Map<String, Value>,
}

/// Where schemas refer to each other.
const REFERENCE: &str = "#/components/schemas/";

/// The most readings of one type: more than any has fields.
const READINGS: usize = 10_000;

/// Learns a type; returns the name of its schema.
pub(crate) fn learn<T: DeserializeOwned>(learnt: &RefCell<Learnt>) -> String {
    for _ in 0..READINGS {
        // The result does not matter, only what was asked for.
        let _ = T::deserialize(Reader { learnt });
        let learnt = learnt.borrow();
        let name = learnt.last["$ref"].as_str().and_then(|name| name.strip_prefix(REFERENCE));
        let Some(name) = name else { break };
        if learnt.is_read(name) {
            return name.to_owned();
        }
    }
    String::new()
}

impl Learnt {
    /// The schemas of all structures, by name.
    pub(crate) fn schemas(&self) -> Map<String, Value> {
        let schema =
            |structure: &Structure| json!({"type": "object", "properties": structure.properties});
        self.structures.iter().map(|(name, one)| ((*name).to_owned(), schema(one))).collect()
    }

    fn is_read(&self, name: &str) -> bool {
        self.structures.get(name).is_none_or(|structure| structure.unread.is_empty())
    }

    /// Keeps what a field was read as; a field is finished once everything within it is.
    fn keep(&mut self, structure: &'static str, field: &'static str) {
        let schema = self.last.clone();
        let refers_to = reference(&schema);
        let is_done = refers_to.is_none_or(|name| self.is_read(name) || self.open.contains(&name));
        if let Some(structure) = self.structures.get_mut(structure) {
            structure.properties.insert(field.to_owned(), schema);
            if is_done {
                structure.unread.retain(|unread| *unread != field);
            }
        }
    }
}

/// The structure that a schema is of, or a list or map of.
fn reference(schema: &Value) -> Option<&str> {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(name) => name.strip_prefix(REFERENCE),
        None => reference(schema.get("items").or_else(|| schema.get("additionalProperties"))?),
    }
}

/// The end of a reading; reported to no one.
#[derive(Debug)]
struct Over;

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reading is over")
    }
}

impl std::error::Error for Over {}

impl serde::de::Error for Over {
    fn custom<T: fmt::Display>(_: T) -> Over {
        Over
    }
}

/// Shows what a visitor expects.
struct Expecting<'v, V>(&'v V);

impl<'de, V: Visitor<'de>> fmt::Display for Expecting<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    learnt: &'a RefCell<Learnt>,
}

impl Reader<'_> {
    fn is(self, schema: Value) {
        self.learnt.borrow_mut().last = schema;
    }

    fn wrap(self, wrap: impl FnOnce(Value) -> Value) {
        let mut learnt = self.learnt.borrow_mut();
        let inner = std::mem::take(&mut learnt.last);
        learnt.last = wrap(inner);
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Over;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        // Schemas distinguish one type that has no name of its own.
        self.is(match Expecting(&visitor).to_string().as_str() {
            "IntOrString" => json!({"x-kubernetes-int-or-string": true, "format": "int-or-string", "type": "string"}),
            _ => json!({}),
        });
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        self.is(json!({"type": "boolean"}));
        visitor.visit_bool(false)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        self.is(json!({"type": "integer", "format": "int32"}));
        visitor.visit_i32(0)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        self.is(json!({"type": "integer", "format": "int64"}));
        visitor.visit_i64(0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        self.is(json!({"type": "number", "format": "double"}));
        visitor.visit_f64(0.0)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        self.is(json!({"type": "string"}));
        visitor.visit_str("")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Over> {
        let schema = match name {
            "Quantity" => json!({"type": "string"}),
            "Time" | "MicroTime" => json!({"type": "string", "format": "date-time"}),
            "RawExtension" | "FieldsV1" | "JSON" => json!({"type": "object"}),
            _ => return visitor.visit_newtype_struct(self),
        };
        self.is(schema);
        Err(Over)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        let read = visitor.visit_seq(Once(Some(self)));
        self.wrap(|items| json!({"type": "array", "items": items}));
        read
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Over> {
        let read = visitor.visit_map(Once(Some(self)));
        self.wrap(|values| json!({"type": "object", "additionalProperties": values}));
        read
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Over> {
        let is_open = {
            let mut learnt = self.learnt.borrow_mut();
            let unread = fields.to_vec();
            let new = Structure { unread, properties: Map::new() };
            learnt.structures.entry(name).or_insert(new);
            learnt.open.contains(&name)
        };
        let read = if is_open {
            Err(Over)
        } else {
            self.learnt.borrow_mut().open.push(name);
            let read = visitor.visit_map(Fields {
                reader: self,
                structure: name,
                field: None,
                tried: Vec::new(),
            });
            self.learnt.borrow_mut().open.pop();
            read
        };
        self.is(json!({"$ref": format!("{REFERENCE}{name}")}));
        read
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct
        enum identifier ignored_any
    }
}

/// One element, or one entry of a map.
struct Once<'a>(Option<Reader<'a>>);

impl<'de> SeqAccess<'de> for Once<'_> {
    type Error = Over;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Over> {
        self.0.take().map(|reader| seed.deserialize(reader)).transpose()
    }
}

impl<'de> MapAccess<'de> for Once<'_> {
    type Error = Over;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Over> {
        let key = || seed.deserialize(StrDeserializer::new("")).map(Some);
        self.0.map_or(Ok(None), |_| key())
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Over> {
        seed.deserialize(self.0.take().ok_or(Over)?)
    }
}

/// The fields of a structure that have not been read to their ends.
struct Fields<'a> {
    reader: Reader<'a>,
    structure: &'static str,
    field: Option<&'static str>,
    tried: Vec<&'static str>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Over;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Over> {
        let next = {
            let learnt = self.reader.learnt.borrow();
            let unread = learnt.structures.get(self.structure).map_or(&[][..], |one| &one.unread);
            unread.iter().find(|field| !self.tried.contains(field)).copied()
        };
        self.field = next;
        self.tried.extend(next);
        next.map(|field| seed.deserialize(StrDeserializer::new(field))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Over> {
        let read = seed.deserialize(self.reader);
        if let Some(field) = self.field {
            self.reader.learnt.borrow_mut().keep(self.structure, field);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

    #[test]
    fn types_are_learnt_to_their_ends() {
        let learnt = RefCell::default();
        assert_eq!(learn::<Pod>(&learnt), "Pod");
        assert_eq!(learn::<CustomResourceDefinition>(&learnt), "CustomResourceDefinition");
        assert!(learnt.borrow().structures.values().all(|structure| structure.unread.is_empty()));
        let schemas = learnt.borrow().schemas();
        let property = |name: &str, field: &str| schemas[name]["properties"][field].clone();
        assert_eq!(property("Pod", "spec"), json!({"$ref": "#/components/schemas/PodSpec"}));
        assert_eq!(
            property("PodSpec", "containers"),
            json!({"type": "array", "items": {"$ref": "#/components/schemas/Container"}})
        );
        assert_eq!(
            property("ResourceRequirements", "limits"),
            json!({"type": "object", "additionalProperties": {"type": "string"}})
        );
        assert_eq!(property("ObjectMeta", "creationTimestamp")["format"], "date-time");
        assert_eq!(property("PodSpec", "hostNetwork")["type"], "boolean");
        assert_eq!(property("ContainerPort", "containerPort")["format"], "int32");
        assert_eq!(property("HTTPGetAction", "port")["x-kubernetes-int-or-string"], true);
        assert_eq!(
            property("JSONSchemaProps", "properties"),
            json!({"type": "object", "additionalProperties": {"$ref": "#/components/schemas/JSONSchemaProps"}})
        );
    }
}
