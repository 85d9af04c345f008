//! An object: its type, as two fields before its own.

use std::sync::Arc;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::fields::Fields;
use super::{Scope, deserialize_as_it_is};
use crate::reflector::kube::protobuf::envelope::Type;
use crate::reflector::kube::protobuf::error::{Error, Result};
use crate::reflector::kube::protobuf::schema::Message;
use crate::reflector::kube::protobuf::wire::Reader;

/// Of no larger message JSON is made: objects in etcd are smaller, and what is made to be large in JSON
/// takes some dozen times its size.
const TOLD: usize = 2 << 20;

/// An object's bytes, to be decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'de> {
    /// Its type, if it says one: items of lists do not.
    pub(crate) of: Option<Type<'de>>,
    pub(crate) schema: &'static Message,
    pub(crate) message: &'de [u8],
    /// Whether its managed fields are read.
    pub(crate) managed_fields: bool,
}

impl<'de> Object<'de> {
    pub(crate) fn decode<T: Deserialize<'de>>(self) -> Result<T> {
        T::deserialize(self)
    }

    /// Its JSON, for whoever looks into what is wrong with it; managed fields and all.
    pub(crate) fn told(self) -> Option<Arc<str>> {
        if self.message.len() > TOLD {
            return None;
        }
        let json: Value = Self { managed_fields: true, ..self }.decode().ok()?;
        Some(json.to_string().into())
    }

    fn into_map(self) -> Root<'de> {
        let scope = Scope { depth: 1, managed_fields: self.managed_fields };
        let of = self.of.map(|of| [("apiVersion", of.api_version), ("kind", of.kind)]);
        Root {
            of: of.unwrap_or_default().into_iter(),
            text: "",
            fields: Fields::new(self.schema, Reader::new(self.message), scope),
        }
    }
}

impl<'de> Deserializer<'de> for Object<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_map(self.into_map())
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(MapAccessDeserializer::new(self.into_map()))
    }

    deserialize_as_it_is! {}
}

struct Root<'de> {
    of: std::array::IntoIter<(&'static str, &'de str), 2>,
    /// The value of one of these, if one was named.
    text: &'de str,
    fields: Fields<'de>,
}

impl<'de> MapAccess<'de> for Root<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        match self.of.find(|(_, text)| !text.is_empty()) {
            Some((name, text)) => {
                self.text = text;
                seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
            }
            None => self.fields.next_key_seed(seed),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        match std::mem::take(&mut self.text) {
            "" => self.fields.next_value_seed(seed),
            text => seed.deserialize(BorrowedStrDeserializer::new(text)),
        }
    }
}
