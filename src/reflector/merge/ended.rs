//! Parts that end, or are dropped.

use super::Told;
use super::merged::Merged;
use super::state::State;
use super::tombstones::{Again, Tombstone};
use crate::batch::Versions;
use crate::{Batch, Object};

impl<T: Object> Merged<T> {
    /// The part ends without having listed: nothing waits for it any more.
    pub(super) fn leave_unlisted(&mut self, index: usize) -> Told<T> {
        if self.parts[index].listed { Told::Nothing } else { self.leave(index) }
    }

    /// The part releases everything that it holds, unless it is the last.
    pub(super) fn leave(&mut self, index: usize) -> Told<T> {
        if std::mem::replace(&mut self.parts[index].left, true)
            || self.parts.iter().all(|part| part.left)
        {
            return Told::Nothing;
        }
        let mut batch = Batch::new();
        for (key, object) in std::mem::take(&mut self.parts[index].objects) {
            self.freed.push(object);
            // The object itself may still exist: another part may yet bring it in this very version, but
            // in no older one.
            let gone = |told: State| Tombstone {
                back_from: told.as_of(),
                last: told,
                again: Again::Always,
            };
            self.let_go(&key, None, gone, &mut batch);
        }
        self.tell(index, batch, None, Versions::Continue)
    }

    /// Returns whether all parts have ended, so that the sinks were told of the end.
    pub(super) fn is_over(&self) -> bool {
        self.parts.iter().all(|part| part.ended)
    }

    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// A sink panicked: its state is unknown, so nothing more is sent.
    pub(super) fn break_off(&mut self, panic: &str) {
        self.broken = Some(panic.to_owned());
    }

    /// The part has ended; once all have, returns the end to report.
    pub(super) fn end(&mut self, index: usize, error: Option<String>) -> Option<Option<String>> {
        if std::mem::replace(&mut self.parts[index].ended, true) {
            return None;
        }
        self.error = self.error.take().or(error);
        self.parts.iter().all(|part| part.ended).then(|| self.error.take())
    }
}
