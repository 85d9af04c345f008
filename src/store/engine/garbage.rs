//! What is no longer needed and runs user code when it is dropped: objects, and values of indexes.

use std::cell::RefCell;
use std::{mem, ptr};

use super::index::Indexes;
use crate::panic::let_go;
use crate::sync::{Arc, Mutex, local};

/// Objects for which room is kept.
const KEPT: usize = 4096;

/// Objects to be dropped once the store is whole and no lock is held: their destructors are user code. A
/// panic of one is caught here: the write that happens to free the object must not fail, and the other
/// objects must still be dropped.
pub(super) struct Garbage<T> {
    objects: Vec<Arc<T>>,
    /// Of revisions, each of which alone had them.
    indexes: Vec<Arc<Indexes<T>>>,
}

impl<T> Garbage<T> {
    pub(super) fn new() -> Self {
        Self { objects: Vec::new(), indexes: Vec::new() }
    }

    #[inline]
    pub(super) fn push(&mut self, object: Arc<T>) {
        if self.objects.capacity() == 0 {
            // As many as are usually freed together.
            self.objects.reserve(64);
        }
        self.objects.push(object);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.indexes.is_empty()
    }

    pub(super) fn push_indexes(&mut self, indexes: Arc<Indexes<T>>) {
        self.indexes.push(indexes);
    }

    /// All of it, leaving none, but with the room of what was [disposed](Self::dispose) of.
    pub(super) fn take(&mut self, emptied: &Mutex<Vec<Arc<T>>>) -> Self {
        let indexes = mem::take(&mut self.indexes);
        if self.objects.is_empty() {
            return Self { objects: Vec::new(), indexes };
        }
        let room = emptied.try_lock().map_or_else(|_| Vec::new(), |mut room| mem::take(&mut *room));
        Self { objects: mem::replace(&mut self.objects, room), indexes }
    }

    /// Drops all of it, and leaves the objects' room for the next. No lock is held meanwhile.
    pub(super) fn dispose(mut self, emptied: &Mutex<Vec<Arc<T>>>) {
        let_go(self.objects.drain(..));
        if self.objects.capacity() <= KEPT
            && let Ok(mut room) = emptied.try_lock()
            && self.objects.capacity() > room.capacity()
        {
            mem::swap(&mut self.objects, &mut room);
        }
    }
}

impl<T> Drop for Garbage<T> {
    fn drop(&mut self) {
        let_go(self.objects.drain(..));
        let_go(self.indexes.drain(..));
    }
}

local! {
    /// The stores whose objects this thread is dropping, the outermost first.
    static DISPOSING: RefCell<Vec<Disposing>> = RefCell::new(Vec::new());
}

struct Disposing {
    /// The engine's address; none where code runs that is no destructor.
    engine: Option<usize>,
    /// Whether a destructor has left more objects.
    left: bool,
}

/// A thread's right to drop a store's objects. A destructor that frees more of that store does not get another, so
/// that destructors are nested no deeper than there are stores.
pub(super) struct Disposal {
    /// Its place among those of this thread; none if the thread-locals are gone, and objects are dropped at once.
    place: Option<usize>,
}

impl Disposal {
    pub(super) fn begin<E>(engine: &E) -> Option<Self> {
        let engine = Some(ptr::from_ref(engine).addr());
        let begin = |disposing: &mut Vec<Disposing>| {
            let mut outer = disposing.iter_mut().rev().take_while(|outer| outer.engine.is_some());
            if let Some(outer) = outer.find(|outer| outer.engine == engine) {
                outer.left = true;
                return None;
            }
            disposing.push(Disposing { engine, left: false });
            Some(disposing.len() - 1)
        };
        match DISPOSING.try_with(|disposing| begin(&mut disposing.borrow_mut())) {
            Ok(place) => place.map(|place| Self { place: Some(place) }),
            Err(_) => Some(Self { place: None }),
        }
    }

    /// Runs code that is no destructor: what it frees is dropped as usual.
    pub(super) fn pause(&mut self, code: impl FnOnce()) {
        self.with(|_, disposing| disposing.push(Disposing { engine: None, left: false }));
        code();
        self.with(|place, disposing| disposing.truncate(place + 1));
    }

    /// Returns whether a destructor has left objects since the last call.
    pub(super) fn take_left(&mut self) -> bool {
        let left = self.with(|place, disposing| mem::take(&mut disposing[place].left));
        left.unwrap_or(false)
    }

    fn with<R>(&self, f: impl FnOnce(usize, &mut Vec<Disposing>) -> R) -> Option<R> {
        let place = self.place?;
        DISPOSING.try_with(|disposing| f(place, &mut disposing.borrow_mut())).ok()
    }
}

impl Drop for Disposal {
    fn drop(&mut self) {
        self.with(|place, disposing| disposing.truncate(place));
    }
}
