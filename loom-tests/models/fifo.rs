//! What the queue's models share.

use crate::{KeyRef, Object};

/// An object of a key, told from others of it by a number.
pub struct Item(pub &'static str, pub u32);

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        self.0.into()
    }
}
