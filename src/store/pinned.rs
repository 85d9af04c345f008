//! Pinned reads: a short borrowed view of the store.

use std::fmt;

use super::engine::{Engine, PinnedRevision};
use crate::{ArcRef, KeyRef, ResourceVersion, Revision};

/// The store as it was when this was made by [`Store::pin`](super::Store::pin).
///
/// It stays on its thread (it is not `Send`), and is meant to be short-lived: a task that moves between
/// threads cannot hold it across an `.await`.
///
/// ```
/// # use watchcache::{KeyRef, Object, Store};
/// # struct Node(u32);
/// # impl Object for Node {
/// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// # }
/// let store = Store::new();
/// store.add(Node(1))?;
/// let pinned = store.pin();
/// let node = pinned.get("node-1");
/// store.add(Node(2))?;
/// assert!(node.is_some_and(|node| node.0 == 1), "one revision, for as long as it lives");
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
///
/// What it lends cannot outlive it, and it cannot be sent:
///
/// ```compile_fail,E0505
/// # use watchcache::{KeyRef, Object, Store};
/// # struct Node(u32);
/// # impl Object for Node {
/// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// # }
/// let store = Store::<Node>::new();
/// let pinned = store.pin();
/// let node = pinned.get("node-1");
/// drop(pinned);
/// assert!(node.is_none());
/// ```
///
/// ```compile_fail,E0277
/// # use watchcache::{KeyRef, Object, Store};
/// # struct Node(u32);
/// # impl Object for Node {
/// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// # }
/// let store = Store::<Node>::new();
/// let pinned = store.pin();
/// std::thread::scope(|scope| {
///     scope.spawn(move || pinned.len());
/// });
/// ```
pub struct Pinned<'s, T>(PinnedRevision<'s, T>);

impl<'s, T> Pinned<'s, T> {
    #[inline]
    pub(super) fn new(engine: &'s Engine<T>) -> Self {
        Self(PinnedRevision::new(engine))
    }

    /// The object under a key. Allocates nothing, and writes to no shared memory.
    #[inline]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<ArcRef<'_, T>> {
        self.0.get(key.into())
    }

    /// Returns whether a key is present.
    #[inline]
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        self.get(key).is_some()
    }

    /// The number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.view().len()
    }

    /// Returns whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The store's revision that this is a view of.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::new(self.0.view().number())
    }

    /// The source's version of this view, if the source has sent one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.0.view().resource_version()
    }

    /// Returns whether the source's whole content was complete by then; see
    /// [`Snapshot::is_synced`](super::Snapshot::is_synced).
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.0.view().is_synced()
    }
}

impl<T> fmt::Debug for Pinned<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned")
            .field("len", &self.len())
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}
