//! A serde `Deserializer` over the bytes of an object, which shows them as the JSON that they stand
//! for: whatever type reads that reads these.
//!
//! What a type does not name is passed over by its length, and nothing is allocated that the type does
//! not ask for, other than the text of bytes.

mod fields;
mod list;
mod map;
mod object;
mod raw;
mod special;
mod value;

pub(crate) use self::object::Object;
use super::error::{Fault, Result};

/// As `serde_json` limits it, by maps and lists: content must not overflow the stack.
pub(super) const DEEPEST: u8 = 127;

/// An object is the first level, and its metadata the second.
const METADATA: u8 = 2;

/// What holds for all that lies in a message, list or map.
#[derive(Clone, Copy, Debug)]
struct Scope {
    depth: u8,
    /// Whether managed fields are read: those of a template within an object always are.
    managed_fields: bool,
}

impl Scope {
    /// For what lies in a value of this one.
    fn deeper(self) -> Result<Self> {
        if self.depth == DEEPEST {
            return Err(Fault::TooDeep.into());
        }
        let depth = self.depth + 1;
        Ok(Self { depth, managed_fields: self.managed_fields || depth > METADATA })
    }
}

/// What a map or a list is to whoever asks for something that it may lie in, or for anything else.
macro_rules! deserialize_as_it_is {
    () => {
        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.visit_some(self)
        }

        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            name: &'static str,
            visitor: V,
        ) -> Result<V::Value> {
            super::raw::newtype(self, name, visitor)
        }

        fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.visit_unit()
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
            unit_struct seq tuple tuple_struct map struct identifier
        }
    };
}
use deserialize_as_it_is;
