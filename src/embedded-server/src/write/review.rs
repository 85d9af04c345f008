//! Writes that are reviewed before they are committed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::storage::Origin;

/// Stands between a write and its commit. A write that gets as far as its commit notes what it would
/// commit, and ends as a dry run. Once that is admitted, the same write is done again: it commits exactly
/// the object that was admitted, or, if the state that it was based on is no longer the newest, notes its
/// new result.
#[derive(Debug, Default)]
pub(crate) struct Review(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    Noted(Planned),
    Admitted(Planned),
}

/// The planned result of a write.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) name: String,
    /// The version that it replaces; `None` for a new object.
    pub(crate) expected: Option<u64>,
    /// The object after it; `None` when a deletion removes it.
    pub(crate) object: Option<Value>,
    pub(crate) old: Option<Value>,
    pub(super) origin: Origin,
}

impl Review {
    /// The admitted object, if it was based on this state. It can be taken once.
    pub(super) fn take_admitted(&self, expected: Option<u64>) -> Option<Planned> {
        match std::mem::take(&mut *self.state()) {
            State::Admitted(planned) if planned.expected == expected => Some(planned),
            _ => None,
        }
    }

    pub(super) fn note(&self, planned: Planned) {
        *self.state() = State::Noted(planned);
    }

    /// The result to be admitted; `None` if the write was committed, or changes nothing.
    pub(crate) fn noted(&self) -> Option<Planned> {
        match &*self.state() {
            State::Noted(planned) => Some(planned.clone()),
            _ => None,
        }
    }

    pub(crate) fn admit(&self, planned: Planned) {
        *self.state() = State::Admitted(planned);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
