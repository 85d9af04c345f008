//! Whether this thread is within a call of a merge's sinks, and what they do to its parts meanwhile.

use std::collections::VecDeque;
use std::thread::{self, ThreadId};

use crate::sync::{Mutex, PoisonError};

/// Invariant: a thread that is noted here holds the merge's lock, and looks at what was noted before it
/// releases that.
#[derive(Default)]
pub(super) struct Calls {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    within: Option<ThreadId>,
    later: VecDeque<(usize, Left)>,
}

/// How a part leaves.
pub(super) enum Left {
    /// Its reflector has ended; why, if it failed.
    Ended(Option<String>),
    Dropped,
}

impl Calls {
    /// Calls sinks, under the merge's lock. The calls do not unwind.
    pub(super) fn during<R>(&self, calls: impl FnOnce() -> R) -> R {
        let this = thread::current().id();
        self.with(|state| state.within = Some(this));
        let result = calls();
        self.with(|state| state.within = None);
        result
    }

    /// If it is a sink, called by this thread, through which a part leaves, notes it for when the sinks
    /// have returned: the lock is held. Otherwise returns how it leaves.
    pub(super) fn or_later(&self, part: usize, left: Left) -> Option<Left> {
        let this = thread::current().id();
        self.with(|state| {
            if state.within != Some(this) {
                return Some(left);
            }
            state.later.push_back((part, left));
            None
        })
    }

    /// What was noted first.
    pub(super) fn next(&self) -> Option<(usize, Left)> {
        self.with(|state| state.later.pop_front())
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        // Nothing that could panic runs under it.
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
