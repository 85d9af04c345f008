//! Objects that the log has let go of, and that the writes which follow drop.

use std::collections::VecDeque;

use crate::Object;
use crate::panic::let_go;
use crate::sync::Arc;

/// How many objects a write drops at least, if so many wait.
const A_WRITE: usize = 64;

/// How many a write drops for each of its changes: twice what each brings, so that what waits gets less.
const A_CHANGE: usize = 4;

/// Objects that wait to be dropped: a segment may have as many as the log may, and a write drops no more than
/// in proportion to what it changes.
pub(super) struct Leaving<T> {
    parts: VecDeque<Box<dyn Iterator<Item = Arc<T>> + Send>>,
}

/// How many objects a publication of so many changes drops.
pub(super) fn share(changes: usize) -> usize {
    changes.saturating_mul(A_CHANGE).saturating_add(A_WRITE)
}

impl<T> Leaving<T> {
    pub(super) fn new() -> Self {
        Self { parts: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn push(&mut self, part: impl Iterator<Item = Arc<T>> + Send + 'static)
    where
        T: Object,
    {
        self.parts.push_back(Box::new(part));
    }

    /// Takes at most so many, those that came first.
    pub(super) fn take(&mut self, most: usize) -> impl Iterator<Item = Arc<T>> {
        std::iter::from_fn(move || self.pop()).take(most)
    }

    fn pop(&mut self) -> Option<Arc<T>> {
        loop {
            match self.parts.front_mut()?.next() {
                Some(object) => return Some(object),
                None => drop(self.parts.pop_front()),
            }
        }
    }
}

impl<T> Drop for Leaving<T> {
    fn drop(&mut self) {
        let_go(std::iter::from_fn(|| self.pop()));
    }
}
