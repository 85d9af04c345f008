//! A repeated field of entries as a map.

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::Scope;
use super::value::Single;
use crate::reflector::kube::protobuf::error::{Error, Result};
use crate::reflector::kube::protobuf::schema::Kind;
use crate::reflector::kube::protobuf::wire::{Reader, Value, fields};

/// The entries of one number, each a message of a name and a value.
pub(super) struct Map<'de> {
    pub(super) kind: Kind,
    pub(super) run: Reader<'de>,
    pub(super) scope: Scope,
}

impl<'de> Map<'de> {
    fn entries(self) -> Result<Entries<'de>> {
        Ok(Entries { scope: self.scope.deeper()?, map: self, named: None })
    }
}

impl<'de> Deserializer<'de> for Map<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_map(self.entries()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(MapAccessDeserializer::new(self.entries()?))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

struct Entries<'de> {
    map: Map<'de>,
    scope: Scope,
    /// The entry that was named last.
    named: Option<(&'de str, Value<'de>)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((_, entry)) = self.map.run.next()? else { return Ok(None) };
        let [name, value] = fields(entry.bytes()?)?;
        let name = name.map_or(Ok(""), Value::text)?;
        // Proto2 leaves nothing out, proto3 what is zero.
        self.named = Some((name, value.unwrap_or(self.map.kind.zero())));
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let (name, value) = self
            .named
            .take()
            .ok_or_else(|| Error::custom("a value was asked for before its name"))?;
        let (kind, scope) = (self.map.kind, self.scope);
        seed.deserialize(Single { kind, value, scope }).map_err(|error| error.within(name))
    }
}

impl Kind {
    fn zero(self) -> Value<'static> {
        match self {
            Self::Integer | Self::Boolean => Value::Varint(0),
            Self::Double => Value::Fixed64(0),
            _ => Value::Bytes(&[]),
        }
    }
}
