//! What all handles and leases of one queue share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::state::State;
use super::wait::Waiters;

pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
    pub(super) waiters: Waiters,
}

impl<T> Shared<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::new()), waiters: Waiters::new() }
    }

    /// Looks at, or takes from, the state: anything that makes no key available.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No user code runs under the lock, so a panic elsewhere cannot have left it half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and then, once unlocked, decides once whom to wake. What `change` returns
    /// is dropped by the caller, after that.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let wakes = state.take_wakes();
        drop(state);
        self.waiters.notify(wakes);
        result
    }
}
