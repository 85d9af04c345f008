//! A message as a map of its fields.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess};

use super::Scope;
use super::list::List;
use super::map::Map;
use super::value::Single;
use crate::reflector::kube::protobuf::error::{Error, Fault, Result};
use crate::reflector::kube::protobuf::schema::{Field, Form, Kind, Message};
use crate::reflector::kube::protobuf::wire::{Reader, Value};

/// How many messages are inlined in each other at most; the schema's generator sees to it.
const MOST_INLINED: usize = 2;

pub(super) struct Fields<'de> {
    current: Frame<'de>,
    /// The messages that the current one is inlined in, the outermost first.
    outer: [Option<Frame<'de>>; MOST_INLINED],
    /// The field that was named last, until its value is read.
    named: Option<&'static Field>,
    value: Named<'de>,
    scope: Scope,
}

/// A message, as far as it has not been read.
#[derive(Clone, Copy)]
struct Frame<'de> {
    schema: &'static Message,
    rest: Reader<'de>,
    /// A bit for each field that came; the schema's generator sees to it that there is one.
    seen: u64,
}

#[derive(Clone, Copy)]
enum Named<'de> {
    Single(Value<'de>),
    Several { number: u32, run: Reader<'de>, count: usize },
}

impl<'de> Fields<'de> {
    pub(super) fn new(schema: &'static Message, message: Reader<'de>, scope: Scope) -> Self {
        let current = Frame { schema, rest: message, seen: 0 };
        let value = Named::Single(Value::Varint(0));
        Self { current, outer: [None; MOST_INLINED], named: None, value, scope }
    }

    /// The next field that is one of the JSON object; its value is at hand then.
    fn next(&mut self) -> Result<Option<&'static Field>> {
        loop {
            let start = self.current.rest;
            let Some((number, value)) = self.current.rest.next()? else {
                match self.outer.iter_mut().rev().find_map(Option::take) {
                    Some(outer) => self.current = outer,
                    None => return Ok(None),
                }
                continue;
            };
            let Some(field) = self.current.schema.field(number) else { continue };
            match field.form() {
                Form::Gap => continue,
                Form::ManagedFields if !self.scope.managed_fields => continue,
                // Zero is a value like any other where the field is there twice, or is of another wire type.
                form => {
                    self.current.see(number, field)?;
                    let single = Single { kind: field.kind(), value, scope: self.scope };
                    let is_zero = || single.is_zero().map_err(|error| error.within(field.json()));
                    if form == Form::NonZero && is_zero()? {
                        continue;
                    }
                }
            }
            self.value = match (field.form(), field.kind()) {
                (Form::Inline, Kind::Message(schema)) => {
                    self.inline(schema, value)?;
                    continue;
                }
                (Form::List | Form::Map | Form::ManagedFields, _) => {
                    let (run, count) = self.current.rest.run(start, number)?;
                    Named::Several { number, run, count }
                }
                _ => Named::Single(value),
            };
            return Ok(Some(field));
        }
    }

    fn inline(&mut self, schema: &'static Message, value: Value<'de>) -> Result<()> {
        let inlined = Frame { schema, rest: Reader::new(value.bytes()?), seen: 0 };
        let Some(free) = self.outer.iter_mut().find(|outer| outer.is_none()) else {
            return Err(Fault::TooDeep.into());
        };
        *free = Some(std::mem::replace(&mut self.current, inlined));
        Ok(())
    }
}

impl Frame<'_> {
    /// JSON says of two fields of one name that the last counts, protobuf that they are merged;
    /// nobody who writes objects writes such.
    #[inline]
    fn see(&mut self, number: u32, field: &Field) -> Result<()> {
        let bit = 1 << (number - 1);
        if self.seen & bit != 0 {
            return Err(Error::from(Fault::Twice).within(field.json()));
        }
        self.seen |= bit;
        Ok(())
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.named = self.next()?;
        match self.named {
            Some(field) => seed.deserialize(BorrowedStrDeserializer::new(field.json())).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let Some(field) = self.named.take() else {
            return Err(Error::custom("a value was asked for before its name"));
        };
        let (kind, scope) = (field.kind(), self.scope);
        let read = match self.value {
            Named::Single(value) => seed.deserialize(Single { kind, value, scope }),
            Named::Several { run, count, .. } if field.form() == Form::Map => {
                seed.deserialize(Map { kind, run, count, scope })
            }
            Named::Several { number, run, count } => {
                seed.deserialize(List::new((kind, number), run, Some(count), scope))
            }
        };
        read.map_err(|error| error.within(field.json()))
    }
}
