//! A value as its JSON text, for whoever asks for that.

use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::Value;

use crate::reflector::kube::protobuf::error::{Error, Result};

/// What `serde_json`'s `RawValue` calls itself, and the only field of the map that it takes for its text.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// A value for a type that is nothing but another one.
pub(super) fn newtype<'de, D, V>(value: D, name: &'static str, visitor: V) -> Result<V::Value>
where
    D: Deserializer<'de, Error = Error>,
    V: Visitor<'de>,
{
    if name != RAW_VALUE {
        return visitor.visit_newtype_struct(value);
    }
    let text = Value::deserialize(value)?.to_string();
    visitor.visit_map(MapDeserializer::new([(RAW_VALUE, text)].into_iter()))
}
