//! Coalesced changes, for a subscription that fell behind the log, or asked for fewer deliveries.

use std::collections::HashMap;

use super::segment::Segment;
use crate::store::Snapshot;
use crate::store::engine::{Changed, Changes};
use crate::sync::Arc;
use crate::{ArcRef, Key, KeyRef};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Returns whether two states of a key are the same object, or both `None`.
fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

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
            state.1 = new.map(ArcRef::to_arc);
        }
    }

    pub(super) fn into_changes(self) -> Changes<T> {
        let mut changes = Changes::new();
        for (key, (old, new)) in &self.states {
            if !same(old.as_ref(), new.as_ref()) {
                changes.push(key.as_ref(), old.as_ref(), new.as_ref());
            }
        }
        changes
    }
}
