//! A repeated field as a list.

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::Scope;
use super::value::Single;
use crate::reflector::kube::protobuf::error::{Error, Result};
use crate::reflector::kube::protobuf::schema::Kind;
use crate::reflector::kube::protobuf::wire::Reader;

/// The values of one number among these fields.
pub(super) struct List<'de> {
    pub(super) kind: Kind,
    pub(super) number: u32,
    pub(super) run: Reader<'de>,
    /// How many they are, so that a `Vec` is no larger; they are all there.
    pub(super) count: Option<usize>,
    pub(super) scope: Scope,
}

impl<'de> Deserializer<'de> for List<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        self.scope = self.scope.deeper()?;
        visitor.visit_seq(self)
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

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier
    }
}

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        while let Some((number, value)) = self.run.next()? {
            if number == self.number {
                self.count = self.count.map(|count| count.saturating_sub(1));
                let (kind, scope) = (self.kind, self.scope);
                return seed.deserialize(Single { kind, value, scope }).map(Some);
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        self.count
    }
}
