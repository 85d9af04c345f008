//! The states that the store goes through while it is compared with a list.
//!
//! A list holds at one version, and a server that keeps changing is past it before the list has arrived.
//! So the states around it are kept, and the list is compared with the one of its version.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchcache::{Batch, Listing, ResourceVersion, Sink, Snapshot, Store};

use crate::mirrored::Mirrored;

/// A sink placed after the store that keeps each published state when asked to.
#[derive(Debug)]
pub(crate) struct States {
    store: Arc<Store<Mirrored>>,
    /// Oldest first; `None` while nothing is kept.
    kept: Mutex<Option<Vec<Snapshot<Mirrored>>>>,
}

impl States {
    pub(crate) fn new(store: Arc<Store<Mirrored>>) -> Self {
        Self { store, kept: Mutex::new(None) }
    }

    /// Keeps the states from the present one on.
    pub(crate) fn keep(&self) {
        *self.lock() = Some(vec![self.store.snapshot()]);
    }

    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    /// The last state that is not past the version, and whether the store has gone past it, so that the
    /// state is final. For a version that is not a number, it is the present state.
    pub(crate) fn at(&self, version: &ResourceVersion) -> (Snapshot<Mirrored>, bool) {
        let mut kept = self.lock();
        let states = kept.get_or_insert_with(Vec::new);
        let first_past = states.iter().position(|state| is_past(state, version));
        let last = first_past.unwrap_or(states.len()).checked_sub(1);
        let state = last.and_then(|last| states.get(last).cloned());
        // Earlier states are no longer of use.
        states.drain(..last.unwrap_or(0));
        (state.unwrap_or_else(|| self.store.snapshot()), first_past.is_some())
    }

    /// Returns whether the first kept state is already past the version.
    pub(crate) fn are_past(&self, version: &ResourceVersion) -> bool {
        let kept = self.lock();
        kept.iter().flatten().next().is_some_and(|first| is_past(first, version))
    }

    fn record(&self) {
        if let Some(states) = &mut *self.lock() {
            states.push(self.store.snapshot());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Snapshot<Mirrored>>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_past(state: &Snapshot<Mirrored>, version: &ResourceVersion) -> bool {
    let reached = state.resource_version().and_then(ResourceVersion::number);
    matches!((reached, version.number()), (Some(reached), Some(wanted)) if reached > wanted)
}

impl Sink<Mirrored> for States {
    fn apply(&self, _: &Batch<Mirrored>) {
        self.record();
    }

    fn replace(&self, _: &Listing<Mirrored>) {
        self.record();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_state_of_a_version() {
        let store = Arc::new(Store::new());
        let states = States::new(Arc::clone(&store));
        let advance = |version: &str| {
            let mut batch = Batch::new();
            batch.set_resource_version(version.into());
            store.apply(&batch);
            Sink::apply(&states, &batch);
        };
        let at = |version: &str| {
            let (state, is_final) = states.at(&version.into());
            (state.resource_version().map(ToString::to_string).unwrap_or_default(), is_final)
        };
        advance("5");
        states.keep();
        advance("7");
        advance("9");
        assert!(states.are_past(&"4".into()) && !states.are_past(&"5".into()));
        assert_eq!(at("5"), ("5".to_owned(), true));
        assert_eq!(at("8"), ("7".to_owned(), true));
        assert_eq!(at("9"), ("9".to_owned(), false));
        assert_eq!(at("opaque"), ("9".to_owned(), false));
        advance("11");
        assert_eq!(at("10"), ("9".to_owned(), true));
    }
}
