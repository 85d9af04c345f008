//! A repeated field of entries as a map.

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

use super::value::Single;
use super::{Scope, deserialize_as_it_is};
use crate::reflector::kube::protobuf::error::{Error, Result};
use crate::reflector::kube::protobuf::schema::Kind;
use crate::reflector::kube::protobuf::wire::{Reader, Value, fields};

/// The entries of one number, each a message of a name and a value.
pub(super) struct Map<'de> {
    pub(super) kind: Kind,
    pub(super) run: Reader<'de>,
    /// How many entries are left; they are all there.
    pub(super) count: usize,
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

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(MapAccessDeserializer::new(self.entries()?))
    }

    deserialize_as_it_is! {}
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
        self.map.count = self.map.count.saturating_sub(1);
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

    fn size_hint(&self) -> Option<usize> {
        Some(self.map.count)
    }
}

impl Kind {
    fn zero(self) -> Value<'static> {
        match self {
            Self::Integer | Self::Int32 | Self::Boolean => Value::Varint(0),
            Self::Double => Value::Fixed64(0),
            _ => Value::Bytes(&[]),
        }
    }
}
