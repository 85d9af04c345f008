//! Objects that are no longer needed, until they are dropped.

use std::cell::Cell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::panic::discard;
use crate::sync::{Arc, Mutex, local};

/// Objects for which room is kept.
const KEPT: usize = 4096;

/// Objects to be dropped once the store is whole and no lock is held: their destructors are user code. A
/// panic of one is caught here: the write that happens to free the object must not fail, and the other
/// objects must still be dropped.
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

    /// All of it, leaving none, but with the room of what was [disposed](Self::dispose) of.
    pub(super) fn take(&mut self, emptied: &Mutex<Vec<Arc<T>>>) -> Self {
        if self.0.is_empty() {
            return Self::new();
        }
        let room = emptied.try_lock().map_or_else(|_| Vec::new(), |mut room| mem::take(&mut *room));
        Self(mem::replace(&mut self.0, room))
    }

    /// Drops the objects, and leaves their room for the next. No lock is held meanwhile.
    pub(super) fn dispose(mut self, emptied: &Mutex<Vec<Arc<T>>>) {
        self.drop_objects();
        if self.0.capacity() <= KEPT
            && let Ok(mut room) = emptied.try_lock()
            && self.0.capacity() > room.capacity()
        {
            mem::swap(&mut self.0, &mut room);
        }
    }

    fn drop_objects(&mut self) {
        let mut objects = self.0.drain(..);
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| objects.by_ref().for_each(drop))) {
            discard(panic);
        }
    }
}

impl<T> Drop for Garbage<T> {
    fn drop(&mut self) {
        self.drop_objects();
    }
}

local! {
    /// Whether this thread is dropping objects, and whether a destructor has left more.
    static DISPOSING: Cell<(bool, bool)> = Cell::new((false, false));
}

/// A thread's right to drop objects. A destructor that frees more objects does not get another.
pub(super) struct Disposal(());

impl Disposal {
    pub(super) fn begin() -> Option<Self> {
        // A thread whose thread-locals are gone drops objects at once.
        let nested = DISPOSING.try_with(|disposing| {
            let (nested, _) = disposing.get();
            disposing.set((true, nested));
            nested
        });
        (!nested.unwrap_or(false)).then(|| Self(()))
    }

    /// Runs code that is no destructor: what it frees is dropped as usual.
    pub(super) fn pause(&mut self, code: impl FnOnce()) {
        let _ = DISPOSING.try_with(|disposing| disposing.set((false, false)));
        code();
        let _ = DISPOSING.try_with(|disposing| disposing.set((true, false)));
    }

    /// Returns whether a destructor has left objects since the last call.
    pub(super) fn take_left(&mut self) -> bool {
        let left = DISPOSING.try_with(|disposing| disposing.replace((true, false)).1);
        left.unwrap_or(false)
    }
}

impl Drop for Disposal {
    fn drop(&mut self) {
        let _ = DISPOSING.try_with(|disposing| disposing.set((false, false)));
    }
}
