//! The difference between two snapshots.

use std::fmt;

use super::engine::{Entry, View};
use super::error::DifferentStores;
use crate::sync::Arc;
use crate::{ArcRef, KeyRef};

/// The difference between two snapshots of one store, in no particular order.
///
/// ```
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// store.add("a/web".parse::<Key>()?)?;
/// let older = store.snapshot();
/// store.delete("a/web");
/// store.add("a/db".parse::<Key>()?)?;
/// let newer = store.snapshot();
/// let diff = newer.diff(&older)?;
/// assert_eq!((diff.added[0].0.name(), diff.deleted[0].0.name()), ("db", "web"));
/// assert!(diff.updated.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Diff<'a, T> {
    /// Objects that only the newer snapshot has.
    pub added: Vec<(KeyRef<'a>, ArcRef<'a, T>)>,
    /// Keys that hold different objects.
    pub updated: Vec<Updated<'a, T>>,
    /// Objects that only the older snapshot has.
    pub deleted: Vec<(KeyRef<'a>, ArcRef<'a, T>)>,
}

/// A key that holds different objects in two snapshots.
///
/// ```
/// # use watchcache::{KeyRef, Object, Store};
/// # struct Node { ready: bool }
/// # impl Object for Node {
/// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// # }
/// let store = Store::new();
/// store.add(Node { ready: true })?;
/// let older = store.snapshot();
/// store.add(Node { ready: false })?;
/// let newer = store.snapshot();
/// let updated = newer.diff(&older)?.updated;
/// let lost: Vec<_> = updated.iter().filter(|node| node.old.ready && !node.new.ready).collect();
/// assert_eq!(lost[0].key.name(), "node-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Updated<'a, T> {
    /// The key.
    pub key: KeyRef<'a>,
    /// The older snapshot's object.
    pub old: ArcRef<'a, T>,
    /// The newer one's.
    pub new: ArcRef<'a, T>,
}

impl<'a, T> Diff<'a, T> {
    pub(super) fn between(older: View<'a, T>, newer: View<'a, T>) -> Result<Self, DifferentStores> {
        if !older.same_engine(newer) {
            return Err(DifferentStores);
        }
        let mut diff = Self { added: Vec::new(), updated: Vec::new(), deleted: Vec::new() };
        older.changes(newer, |old: Option<Entry<'a, T>>, new| match (old, new) {
            (None, Some(new)) => diff.added.push(new),
            (Some(old), None) => diff.deleted.push(old),
            (Some((key, old)), Some((_, new))) if !Arc::ptr_eq(&old, &new) => {
                diff.updated.push(Updated { key, old, new });
            }
            _ => {}
        });
        Ok(diff)
    }

    /// Number of keys that differ.
    #[must_use]
    pub fn len(&self) -> usize {
        self.added.len() + self.updated.len() + self.deleted.len()
    }

    /// Returns whether the snapshots hold the same objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> fmt::Debug for Diff<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diff")
            .field("added", &self.added.len())
            .field("updated", &self.updated.len())
            .field("deleted", &self.deleted.len())
            .finish()
    }
}

impl<T> fmt::Debug for Updated<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updated").field("key", &self.key).finish_non_exhaustive()
    }
}
