//! Objects that nobody needs any more, until they are dropped.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::panic::discard;
use crate::sync::Arc;

/// Objects to be dropped once the store is whole and no lock is held: their destructors are the
/// user's code. One that panics keeps no other from running; the first panic goes on when all have.
pub(super) struct Garbage<T>(Vec<Arc<T>>);

impl<T> Garbage<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    #[inline]
    pub(super) fn push(&mut self, object: Arc<T>) {
        self.0.push(object);
    }

    #[inline]
    pub(super) fn extend(&mut self, object: Option<Arc<T>>) {
        self.0.extend(object);
    }

    pub(super) fn take(&mut self) -> Self {
        Self(std::mem::take(&mut self.0))
    }
}

impl<T> Drop for Garbage<T> {
    fn drop(&mut self) {
        let mut objects = self.0.drain(..);
        let mut first = None;
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| objects.by_ref().for_each(drop))) {
            match first {
                None => first = Some(panic),
                Some(_) => discard(panic),
            }
        }
        drop(objects);
        match first {
            Some(panic) if std::thread::panicking() => discard(panic),
            Some(panic) => resume_unwind(panic),
            None => {}
        }
    }
}
