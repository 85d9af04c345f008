//! Writes that somebody else is asked about before they are committed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::storage::Origin;

/// Stands between a write and its commit. A write that comes to a commit notes what it would commit,
/// and ends as a dry run. Once that is admitted, the same write is done again: it commits the very
/// object that was admitted, or, if the state that it was decided on is not the newest any more,
/// notes what it comes to now.
#[derive(Debug, Default)]
pub(crate) struct Review(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    Noted(Planned),
    Admitted(Planned),
}

/// What a write comes to.
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
    /// What was admitted, if that was of this state of the object. It can be taken once.
    pub(super) fn take_admitted(&self, expected: Option<u64>) -> Option<Planned> {
        match std::mem::take(&mut *self.state()) {
            State::Admitted(planned) if planned.expected == expected => Some(planned),
            _ => None,
        }
    }

    pub(super) fn note(&self, planned: Planned) {
        *self.state() = State::Noted(planned);
    }

    /// What is to be admitted; nothing if the write was committed, or came to nothing.
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
