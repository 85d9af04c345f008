//! Lookup of a stored [`Key`] by a borrowed [`KeyRef`].
//!
//! `Borrow` can only return a reference, and a `KeyRef` is a value; a trait object over "anything
//! with a borrowed form" is the common ground that both sides can be borrowed as.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use crate::{Key, KeyRef};

pub(super) trait Lookup {
    fn key_ref(&self) -> KeyRef<'_>;
}

impl Lookup for Key {
    fn key_ref(&self) -> KeyRef<'_> {
        self.as_ref()
    }
}

impl Lookup for KeyRef<'_> {
    fn key_ref(&self) -> KeyRef<'_> {
        *self
    }
}

impl<'a> Borrow<dyn Lookup + 'a> for Key {
    fn borrow(&self) -> &(dyn Lookup + 'a) {
        self
    }
}

impl PartialEq for dyn Lookup + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.key_ref() == other.key_ref()
    }
}

impl Eq for dyn Lookup + '_ {}

// Agrees with `Key`'s hash, which is that of its borrowed form.
impl Hash for dyn Lookup + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key_ref().hash(state);
    }
}
