//! Coalesced changes, for a subscription that fell behind the log, or asked for fewer deliveries.

use std::collections::HashMap;

use super::segment::Segment;
use crate::panic::let_go;
use crate::store::Snapshot;
use crate::store::engine::{Changed, Changes};
use crate::sync::Arc;
use crate::{ArcRef, Key, KeyRef};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The changes from a place in a segment, behind so many of its publications, to a newer content.
///
/// O(what changed since the segment began).
pub(super) fn since<T>(segment: &Segment<T>, publications: usize, to: &Snapshot<T>) -> Changes<T> {
    // Each key's last state in the segment replaces that of the content the segment began from.
    let mut told: Map<KeyRef<'_>, Option<ArcRef<'_, T>>> = Map::default();
    for (key, _, new) in segment.changes(publications) {
        told.insert(key, new);
    }
    let mut changes = Changes::new();
    segment.start().view().changes(to.view(), |old, new| {
        let Some((key, _)) = old.or(new) else { return };
        if !told.contains_key(&key) {
            let object = |(_, object)| object;
            changes.push(key, old.map(object).as_deref(), new.map(object).as_deref());
        }
    });
    for (key, old) in told {
        changes.push(key, old.as_deref(), to.get(key).as_deref());
    }
    changes
}

/// Changes of several publications combined: the state before all of them, and after.
pub(super) struct Gathered<T> {
    states: Map<Key, States<T>>,
}

/// An object before all of them, and after.
type States<T> = (Option<Arc<T>>, Option<Arc<T>>);

impl<T> Gathered<T> {
    pub(super) fn new() -> Self {
        Self { states: Map::default() }
    }

    pub(super) fn add<'a>(&mut self, changes: impl Iterator<Item = Changed<'a, T>>)
    where
        T: 'a,
    {
        for (key, old, new) in changes {
            let state = self
                .states
                .entry(key.to_key_unchecked())
                .or_insert_with(|| (old.map(ArcRef::to_arc), None));
            let_go(std::mem::replace(&mut state.1, new.map(ArcRef::to_arc)));
        }
    }

    pub(super) fn changes(&self) -> Changes<T> {
        let mut changes = Changes::new();
        for (key, (old, new)) in &self.states {
            changes.push(key.as_ref(), old.as_ref(), new.as_ref());
        }
        changes
    }
}

impl<T> Drop for Gathered<T> {
    fn drop(&mut self) {
        let states = std::mem::take(&mut self.states).into_values();
        let_go(states.flat_map(|(old, new)| [old, new]).flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::atomic::{AtomicUsize, Ordering};

    struct Bomb(Arc<AtomicUsize>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("a destructor");
        }
    }

    /// The store and its log may have let go of all of them by then.
    #[test]
    fn what_was_gathered_is_dropped_contained() {
        let drops = Arc::new(AtomicUsize::new(0));
        let states: Vec<_> = (0..4).map(|_| Arc::new(Bomb(Arc::clone(&drops)))).collect();
        let mut gathered = Gathered::new();
        for pair in states.windows(2) {
            let mut changes = Changes::new();
            for key in ["a/x", "a/y"] {
                changes.push(key.into(), Some(&pair[0]), Some(&pair[1]));
            }
            gathered.add(changes.iter());
        }
        let combined = gathered.changes();
        assert_eq!(combined.len(), 2);
        drop(combined);
        let_go(states);
        assert_eq!(drops.load(Ordering::SeqCst), 2, "those between");
        drop(gathered);
        assert_eq!(drops.load(Ordering::SeqCst), 4);
    }
}
