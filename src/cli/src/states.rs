//! The states that the store goes through while it is compared with a list.
//!
//! A list holds at one version, and a server that keeps changing is past it before the list has arrived.
//! So the states around it are kept, and the list is compared with the one of its version. A batch may span
//! that version: then it is the state before the batch, and as much of the batch as is not past the version.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchcache::{
    Batch, Change, Key, KeyRef, Listing, Object, ResourceVersion, Revision, Sink, Snapshot, Store,
};

use crate::mirrored::Mirrored;

/// A sink placed after the store that keeps each published state when asked to.
#[derive(Debug)]
pub(crate) struct States {
    store: Arc<Store<Mirrored>>,
    /// Oldest first; `None` while nothing is kept.
    kept: Mutex<Option<Vec<State>>>,
}

/// A published state.
#[derive(Clone, Debug)]
struct State {
    snapshot: Snapshot<Mirrored>,
    /// What made it of the state before, if that was a batch whose versions have an order.
    batch: Option<Batch<Mirrored>>,
}

/// The content at a version.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    before: Snapshot<Mirrored>,
    /// What has changed since; none for what was deleted.
    changed: HashMap<Key, Option<Arc<Mirrored>>>,
    /// The store has gone past the version.
    pub(crate) is_final: bool,
}

impl Moment {
    pub(crate) fn revision(&self) -> Revision {
        self.before.revision()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Mirrored>> {
        self.changed.get(key).cloned().unwrap_or_else(|| Some(self.before.get(key)?.to_arc()))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = KeyRef<'_>> {
        let unchanged = self.before.keys();
        let unchanged =
            unchanged.filter(|key| !key.to_key().is_ok_and(|key| self.changed.contains_key(&key)));
        let changed = self.changed.iter().filter(|(_, object)| object.is_some());
        unchanged.chain(changed.map(|(key, _)| key.as_ref()))
    }
}

impl States {
    pub(crate) fn new(store: Arc<Store<Mirrored>>) -> Self {
        Self { store, kept: Mutex::new(None) }
    }

    /// Keeps the states from the present one on.
    pub(crate) fn keep(&self) {
        *self.lock() = Some(vec![State { snapshot: self.store.snapshot(), batch: None }]);
    }

    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    /// The content at this version, as far as the store has come. For a version that is not a number, it is
    /// the present one.
    pub(crate) fn at(&self, version: &ResourceVersion) -> Moment {
        let mut kept = self.lock();
        let states = kept.get_or_insert_with(Vec::new);
        let first_past = states.iter().position(|state| is_past(state, version));
        let last = first_past.unwrap_or(states.len()).checked_sub(1);
        let before = last.and_then(|last| states.get(last)).map(|state| state.snapshot.clone());
        let batch = first_past.and_then(|first| states.get(first)?.batch.as_ref());
        let changed = batch.map(|batch| changed_until(batch, version)).unwrap_or_default();
        // Earlier states are no longer of use.
        states.drain(..last.unwrap_or(0));
        Moment {
            before: before.unwrap_or_else(|| self.store.snapshot()),
            changed,
            is_final: first_past.is_some(),
        }
    }

    /// Returns whether the first kept state is already past the version.
    pub(crate) fn are_past(&self, version: &ResourceVersion) -> bool {
        let kept = self.lock();
        kept.iter().flatten().next().is_some_and(|first| is_past(first, version))
    }

    fn record(&self, batch: Option<&Batch<Mirrored>>) {
        if let Some(states) = &mut *self.lock() {
            let batch = batch.filter(|batch| !batch.counts_as_it_stands()).cloned();
            states.push(State { snapshot: self.store.snapshot(), batch });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<State>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes of a batch that are not past a version. They are in its order; one without a version of its
/// own is a deletion, which is as old as what is before it.
fn changed_until(
    batch: &Batch<Mirrored>,
    version: &ResourceVersion,
) -> HashMap<Key, Option<Arc<Mirrored>>> {
    let is_past = |change: &Change<Mirrored>| {
        let (Change::Add(object) | Change::Delete(Some(object))) = change else { return false };
        let of = object.resource_version().and_then(|version| version.parse::<u64>().ok());
        matches!((of, version.number()), (Some(of), Some(wanted)) if of > wanted)
    };
    let changes = batch.changes().take_while(|(_, change)| !is_past(change));
    let changes = changes.filter_map(|(key, change)| match change {
        Change::Add(object) => Some((key.to_key().ok()?, Some(Arc::clone(object)))),
        Change::Delete(_) => Some((key.to_key().ok()?, None)),
    });
    changes.collect()
}

fn is_past(state: &State, version: &ResourceVersion) -> bool {
    let reached = state.snapshot.resource_version().and_then(ResourceVersion::number);
    matches!((reached, version.number()), (Some(reached), Some(wanted)) if reached > wanted)
}

impl Sink<Mirrored> for States {
    fn apply(&self, batch: &Batch<Mirrored>) {
        self.record(Some(batch));
    }

    fn replace(&self, _: &Listing<Mirrored>) {
        self.record(None);
    }
}

#[cfg(test)]
mod tests {
    use watchcache::reflector::{Decode, Encoded};

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
            let Moment { before, is_final, .. } = states.at(&version.into());
            (before.resource_version().map(ToString::to_string).unwrap_or_default(), is_final)
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

    #[test]
    fn a_batch_that_spans_a_version_counts_up_to_it() {
        let object = |name: &str, version: u64| {
            let json =
                format!(r#"{{"metadata":{{"name":"{name}","resourceVersion":"{version}"}}}}"#);
            let object = Mirrored::decode(Encoded::from_json(&json), None).expect("an object");
            Arc::new(object)
        };
        let store = Arc::new(Store::new());
        let states = States::new(Arc::clone(&store));
        let apply = |batch: Batch<Mirrored>| {
            store.apply(&batch);
            Sink::apply(&states, &batch);
        };
        let mut first = Batch::new();
        first.add(object("a", 1)).expect("a key");
        first.add(object("b", 2)).expect("a key");
        first.set_resource_version("2".into());
        apply(first);
        states.keep();
        let mut spanning = Batch::new();
        spanning.add(object("a", 3)).expect("a key");
        spanning.push("b", Change::Delete(Some(object("b", 4)))).expect("a key");
        spanning.add(object("c", 5)).expect("a key");
        spanning.add(object("a", 6)).expect("a key");
        spanning.set_resource_version("6".into());
        apply(spanning);
        let at = |version: &str| {
            let moment = states.at(&version.into());
            let of = |key: KeyRef<'_>| {
                let object = moment.get(&key.to_key().expect("a key")).expect("it is there");
                format!("{key} {}", object.resource_version().unwrap_or("none"))
            };
            let mut all: Vec<_> = moment.keys().map(of).collect();
            all.sort();
            all.join(", ")
        };
        assert_eq!(at("2"), "a 1, b 2");
        assert_eq!(at("3"), "a 3, b 2");
        assert_eq!(at("4"), "a 3");
        assert_eq!(at("5"), "a 3, c 5");
        assert_eq!(at("6"), "a 6, c 5");
    }
}
