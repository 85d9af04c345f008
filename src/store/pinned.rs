//! A short borrowed look at the store.

use std::fmt;

use super::engine::{Engine, PinnedRevision};
use crate::sync::Arc;
use crate::{KeyRef, ResourceVersion, Revision};

/// The store as it was when this was taken; made by [`Store::pin`](super::Store::pin).
///
/// Not `Send`: it is a thread's. It cannot be held over an `.await` in a task that moves between
/// threads, which is as it should be.
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
/// What it lends ends with it, and it stays on its thread:
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
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<&Arc<T>> {
        self.0.get(key.into())
    }

    /// Whether a key is present.
    #[inline]
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        self.get(key).is_some()
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.view().len()
    }

    /// Whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The store's sequence number of this look.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::new(self.0.view().number())
    }

    /// The source's version of this look, if the source has told one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.0.view().resource_version()
    }

    /// Whether the source's whole content had been told by then; see
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
