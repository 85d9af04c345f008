//! A serde `Deserializer` over the bytes of an object, which shows them as the JSON that they stand
//! for: whatever type reads that reads these.
//!
//! What a type does not name is passed over by its length, and nothing is allocated that the type does
//! not ask for, other than the text of bytes.

mod fields;
mod list;
mod map;
mod object;
mod special;
mod value;

pub(in super::super) use self::object::Object;
use super::error::{Fault, Result};

/// As `serde_json` limits it, by maps and lists: content must not overflow the stack.
pub(super) const DEEPEST: u8 = 127;

/// What holds for all that lies in a message, list or map.
#[derive(Clone, Copy, Debug)]
struct Scope {
    depth: u8,
    /// Whether managed fields are read.
    managed_fields: bool,
}

impl Scope {
    /// For what lies in a value of this one.
    fn deeper(self) -> Result<Self> {
        if self.depth == DEEPEST {
            return Err(Fault::TooDeep.into());
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}
