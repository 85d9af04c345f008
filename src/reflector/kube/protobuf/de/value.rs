//! One value, as what it is in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::fields::Fields;
use super::list::List;
use super::{Scope, raw, special};
use crate::reflector::kube::protobuf::error::{Error, Result};
use crate::reflector::kube::protobuf::schema::{JSON_SCHEMA, Kind, Message};
use crate::reflector::kube::protobuf::wire::{Reader, Value, fields};

/// A value that is no list and no map of a message's own.
#[derive(Clone, Copy)]
pub(super) struct Single<'de> {
    pub(super) kind: Kind,
    pub(super) value: Value<'de>,
    pub(super) scope: Scope,
}

/// What stands in the place of a schema, or of what may be one.
enum Either<'de> {
    Nothing,
    Boolean(bool),
    Single(Single<'de>),
    List(List<'de>),
}

impl<'de> Single<'de> {
    /// Whether it is what a field has that was not set.
    #[inline]
    pub(super) fn is_zero(self) -> Result<bool> {
        Ok(match self.kind {
            Kind::Integer | Kind::Boolean => self.value.integer()? == 0,
            Kind::Int32 => self.value.int32()? == 0,
            Kind::Double => self.value.double()?.to_bits() == 0,
            _ => self.value.bytes()?.is_empty(),
        })
    }

    fn fields(self, schema: &'static Message) -> Result<Fields<'de>> {
        Ok(Fields::new(schema, Reader::new(self.value.bytes()?), self.scope.deeper()?))
    }

    fn list(self, kind: Kind, number: u32) -> Result<List<'de>> {
        let run = Reader::new(self.value.bytes()?);
        Ok(List::new((kind, number), run, None, self.scope))
    }

    /// Of the messages of two fields that are a schema, a list, or a boolean.
    fn either(self) -> Result<Either<'de>> {
        let schema = |value| Single { kind: Kind::Message(&JSON_SCHEMA), value, scope: self.scope };
        let [first, second] = fields(self.value.bytes()?)?;
        Ok(match (self.kind, first, second) {
            (Kind::SchemaOrBool, _, Some(value)) => Either::Single(schema(value)),
            (Kind::SchemaOrBool, allowed, None) => {
                Either::Boolean(allowed.map_or(Ok(0), Value::integer)? != 0)
            }
            (Kind::SchemaOrTexts, _, Some(_)) => Either::List(self.list(Kind::Text, 2)?),
            (_, _, Some(_)) => Either::List(self.list(Kind::Message(&JSON_SCHEMA), 2)?),
            (_, Some(value), None) => Either::Single(schema(value)),
            (_, None, None) => Either::Nothing,
        })
    }
}

/// A number as Go writes it in JSON: without a fraction if it has none.
fn double<'de, V: Visitor<'de>>(number: f64, visitor: V) -> Result<V::Value> {
    let integer = number as i64;
    let exact = integer as f64 == number && integer != i64::MAX;
    match exact && !(number == 0.0 && number.is_sign_negative()) {
        true => visitor.visit_i64(integer),
        false => visitor.visit_f64(number),
    }
}

impl<'de> Deserializer<'de> for Single<'de> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let value = self.value;
        match self.kind {
            Kind::Text => visitor.visit_borrowed_str(value.text()?),
            Kind::Integer => visitor.visit_i64(value.integer()?),
            Kind::Int32 => visitor.visit_i64(value.int32()?),
            Kind::Boolean => visitor.visit_bool(value.integer()? != 0),
            Kind::Double => double(value.double()?, visitor),
            Kind::Bytes => visitor.visit_string(STANDARD.encode(value.bytes()?)),
            Kind::Message(schema) => visitor.visit_map(self.fields(schema)?),
            Kind::Texts => self.list(Kind::Text, 1)?.deserialize_any(visitor),
            Kind::Time => match special::time(value.bytes()?)? {
                Some(text) => visitor.visit_str(text.as_str()),
                None => visitor.visit_unit(),
            },
            Kind::MicroTime => match special::micro_time(value.bytes()?)? {
                Some(text) => visitor.visit_str(text.as_str()),
                None => visitor.visit_unit(),
            },
            Kind::Quantity => visitor.visit_borrowed_str(special::quantity(value.bytes()?)?),
            Kind::IntOrString => special::int_or_string(value.bytes()?, visitor),
            Kind::Json => special::json(value.bytes()?, |json| json.deserialize_any(visitor)),
            Kind::SchemaOrBool | Kind::SchemaOrSchemas | Kind::SchemaOrTexts => {
                match self.either()? {
                    Either::Nothing => visitor.visit_unit(),
                    Either::Boolean(allowed) => visitor.visit_bool(allowed),
                    Either::Single(schema) => schema.deserialize_any(visitor),
                    Either::List(list) => list.deserialize_any(visitor),
                }
            }
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.kind {
            Kind::Time | Kind::MicroTime if special::is_unset(self.kind, self.value) => {
                visitor.visit_none()
            }
            Kind::Json => {
                special::json(self.value.bytes()?, |json| json.deserialize_option(visitor))
            }
            Kind::SchemaOrSchemas | Kind::SchemaOrTexts if self.value.is_zero() => {
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        match self.kind {
            // It is lent as it is.
            Kind::Json => special::json(self.value.bytes()?, |json| {
                json.deserialize_newtype_struct(name, visitor)
            }),
            _ => raw::newtype(self, name, visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.kind {
            Kind::Text => visitor.visit_enum(BorrowedStrDeserializer::new(self.value.text()?)),
            Kind::Message(schema) => {
                visitor.visit_enum(MapAccessDeserializer::new(self.fields(schema)?))
            }
            Kind::Json => special::json(self.value.bytes()?, |json| {
                json.deserialize_enum(name, variants, visitor)
            }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}
