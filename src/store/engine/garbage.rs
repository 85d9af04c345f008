//! Objects that nobody needs any more, until they are dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::panic::discard;
use crate::sync::Arc;

/// Objects to be dropped once the store is whole and no lock is held: their destructors are the
/// user's code. A panic of one ends there. It is no fault of the write that happens to free the
/// object, and keeps no other object from being dropped.
pub(super) struct Garbage<T>(Vec<Arc<T>>);

impl<T> Garbage<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    #[inline]
    pub(super) fn push(&mut self, object: Arc<T>) {
        if self.0.capacity() == 0 {
            // As many as are usually freed together.
            self.0.reserve(64);
        }
        self.0.push(object);
    }

    /// All of it, leaving none.
    pub(super) fn take(&mut self) -> Self {
        Self(std::mem::take(&mut self.0))
    }
}

impl<T> Drop for Garbage<T> {
    fn drop(&mut self) {
        let mut objects = self.0.drain(..);
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| objects.by_ref().for_each(drop))) {
            discard(panic);
        }
    }
}
