//! A repeated field as a list.

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::value::Single;
use super::{Scope, deserialize_as_it_is};
use crate::reflector::kube::protobuf::error::{Error, Result};
use crate::reflector::kube::protobuf::schema::Kind;
use crate::reflector::kube::protobuf::wire::{Reader, Value};

/// The values of one number among these fields.
pub(super) struct List<'de> {
    kind: Kind,
    number: u32,
    run: Reader<'de>,
    /// What is left of numbers that came in one field.
    packed: Reader<'de>,
    /// How many fields they are, so that a `Vec` is no larger; they are all there.
    count: Option<usize>,
    scope: Scope,
}

impl<'de> List<'de> {
    pub(super) fn new(
        (kind, number): (Kind, u32),
        run: Reader<'de>,
        count: Option<usize>,
        scope: Scope,
    ) -> Self {
        Self { kind, number, run, packed: Reader::new(&[]), count, scope }
    }

    /// Numbers may come each in a field of its own, as Go writes them, or several in one.
    #[inline]
    fn next(&mut self) -> Result<Option<Value<'de>>> {
        loop {
            if !self.packed.rest().is_empty() {
                return self.packed.number().map(Some);
            }
            match self.run.next()? {
                None => return Ok(None),
                Some((number, value)) if number == self.number => match (self.kind, value) {
                    (Kind::Integer | Kind::Int32 | Kind::Boolean, Value::Bytes(packed)) => {
                        self.packed = Reader::new(packed);
                    }
                    _ => return Ok(Some(value)),
                },
                Some(_) => {}
            }
        }
    }
}

impl<'de> Deserializer<'de> for List<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        self.scope = self.scope.deeper()?;
        visitor.visit_seq(self)
    }

    deserialize_as_it_is! {}
    forward_to_deserialize_any! { enum }
}

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(value) = self.next()? else { return Ok(None) };
        self.count = self.count.map(|count| count.saturating_sub(1));
        let (kind, scope) = (self.kind, self.scope);
        seed.deserialize(Single { kind, value, scope }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.count
    }
}
